# Whole runs that are killed on the way, with the real trainer where it is built. Not under the
# sanitizers: there each of the 21 runs would copy and hash programs of some hundred megabytes.
if(MAYFLY_SANITIZE)
  return()
endif()
add_executable(e2e_kill_tests ${CMAKE_CURRENT_SOURCE_DIR}/e2e_kill/kill_test.cpp
  ${CMAKE_CURRENT_SOURCE_DIR}/e2e_kill/syscall_kill_test.cpp)
target_link_libraries(e2e_kill_tests PRIVATE mayfly_net tiny_model mayfly_warnings GTest::gmock
  GTest::gtest_main)
if(TARGET train)
  set(kill_trainer train)
else()
  set(kill_trainer fake_trainer)
endif()
add_dependencies(e2e_kill_tests agent localhub fake_trainer ${kill_trainer})
target_compile_definitions(e2e_kill_tests PRIVATE MAYFLY_BINARY_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
  MAYFLY_KILL_TRAINER="${kill_trainer}")
gtest_discover_tests(e2e_kill_tests DISCOVERY_MODE PRE_TEST
  PROPERTIES TIMEOUT 600 LABELS e2e PROCESSORS ${MAYFLY_COMPUTES} COST 100 RESOURCE_LOCK whole_machine)
