# The scripts of cloud-init/ by real sh, here; a whole boot with systemd and cloud-init in a container
# in boot_test.py.
mayfly_tests(boot_tests FOLDERS boot WAITING "*" LINK mayfly_agent)
add_dependencies(boot_tests agent localhub fake_trainer)

# Makes user-data and the records that a boot needs.
add_executable(boot_probe ${CMAKE_CURRENT_LIST_DIR}/boot_probe.cpp)
target_link_libraries(boot_probe PRIVATE mayfly_net mayfly_warnings)
# Alone: its scenarios are real times of whole machines, and three of them boot at once as it is.
add_test(NAME boot.machines COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/boot_test.py commit)
set_tests_properties(boot.machines PROPERTIES LABELS boot TIMEOUT 900 SKIP_RETURN_CODE 77 RUN_SERIAL ON
  ENVIRONMENT "MAYFLY_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};MAYFLY_CACHE=${MAYFLY_CACHE}")
add_test(NAME boot.machines_all COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/boot_test.py soak)
set_tests_properties(boot.machines_all PROPERTIES LABELS "boot;soak" TIMEOUT 3600 SKIP_RETURN_CODE 77 RUN_SERIAL ON
  ENVIRONMENT "MAYFLY_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};MAYFLY_CACHE=${MAYFLY_CACHE}")
