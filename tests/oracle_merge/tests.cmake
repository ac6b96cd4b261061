if(TARGET train)
  mayfly_oracle(merge oracle_merge/merge_test.py)
endif()
