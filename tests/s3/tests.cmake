# Our S3 client against moto, our signatures against botocore (environment oracle-aws).
add_executable(s3_probe ${CMAKE_CURRENT_LIST_DIR}/s3_probe.cpp)
target_link_libraries(s3_probe PRIVATE mayfly_net mayfly_warnings)
add_test(NAME oracle.s3 COMMAND ${MAYFLY_CACHE}/oracle-aws/bin/python ${CMAKE_CURRENT_LIST_DIR}/moto_test.py)
set_tests_properties(oracle.s3 PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 LABELS oracle
  ENVIRONMENT "MAYFLY_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
