if(TARGET train)
  mayfly_oracle(qlora oracle_qlora/qlora_test.py)
endif()
