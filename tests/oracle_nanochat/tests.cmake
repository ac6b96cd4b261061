if(TARGET train)
  mayfly_oracle(nanochat ${CMAKE_CURRENT_LIST_DIR}/import_test.py)
endif()
