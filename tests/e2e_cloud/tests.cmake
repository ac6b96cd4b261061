# Whole runs at fake clouds whose machines are stand-ins: launch, rent, set up over SSH, train, publish,
# destroyed by the agent itself. Needs an sshd (set-up unpacks one); else each is skipped and says so.
mayfly_tests(e2e_cloud_tests FOLDERS e2e_cloud WAITING "*" LINK fake_clouds mayfly_launcher tiny_model)
target_compile_definitions(e2e_cloud_tests PRIVATE MAYFLY_PROGRAMS="${CMAKE_BINARY_DIR}/e2e/fake")
target_compile_definitions(e2e_cloud_tests PRIVATE
  MAYFLY_LACKING_TRAINER="${CMAKE_BINARY_DIR}/nowhere/lacking_trainer")
add_dependencies(e2e_cloud_tests e2e_programs lacking_trainer)
if(TARGET train)
  target_compile_definitions(e2e_cloud_tests PRIVATE MAYFLY_REAL_PROGRAMS="${CMAKE_BINARY_DIR}/e2e/real")
  add_dependencies(e2e_cloud_tests e2e_real_programs)
endif()
add_test(NAME soak.killed_cloud_launch COMMAND e2e_cloud_tests --gtest_filter=KilledCloudLaunchTest.*)
set_tests_properties(soak.killed_cloud_launch PROPERTIES LABELS soak TIMEOUT 3600 ENVIRONMENT MAYFLY_SOAK=1)
