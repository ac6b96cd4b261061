# Our EC2 client against moto (environment oracle-aws).
add_executable(ec2_probe ${CMAKE_CURRENT_LIST_DIR}/ec2_probe.cpp)
target_link_libraries(ec2_probe PRIVATE mayfly_net mayfly_warnings)
if(EXISTS ${MAYFLY_CACHE}/oracle-aws/bin/python)   # made by ./dev setup, which comes before
  add_test(NAME oracle.ec2 COMMAND ${MAYFLY_CACHE}/oracle-aws/bin/python ${CMAKE_CURRENT_LIST_DIR}/moto_test.py)
  set_tests_properties(oracle.ec2 PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 LABELS oracle
    ENVIRONMENT "MAYFLY_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
endif()
