if(TARGET train)
  mayfly_oracle(export oracle_export/export_test.py)
endif()
