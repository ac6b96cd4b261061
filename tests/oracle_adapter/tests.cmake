if(TARGET train)
  mayfly_oracle(adapter oracle_adapter/adapter_test.py)
endif()
