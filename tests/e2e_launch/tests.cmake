# Whole launches with real processes: launch, status, local provider, agent, local hub, and a trainer
# without a model; where it is built, the real one too. The programs of each kind stand together in
# one folder, as they do when they are installed.
function(mayfly_e2e_programs target folder trainer)
  add_custom_target(${target}
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:launch> ${folder}/launch
    COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:status> ${folder}/status
    COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:agent> ${folder}/agent
    COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:localhub> ${folder}/localhub
    COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:${trainer}> ${folder}/train
    DEPENDS launch status agent localhub ${trainer})
endfunction()

mayfly_tests(e2e_launch_tests FOLDERS e2e_launch LINK mayfly_launcher tiny_model)
mayfly_e2e_programs(e2e_programs ${CMAKE_BINARY_DIR}/e2e/fake fake_trainer)
target_compile_definitions(e2e_launch_tests PRIVATE MAYFLY_PROGRAMS="${CMAKE_BINARY_DIR}/e2e/fake")
add_dependencies(e2e_launch_tests e2e_programs)
if(TARGET train)
  mayfly_e2e_programs(e2e_real_programs ${CMAKE_BINARY_DIR}/e2e/real train)
  target_compile_definitions(e2e_launch_tests PRIVATE
    MAYFLY_REAL_PROGRAMS="${CMAKE_BINARY_DIR}/e2e/real")
  add_dependencies(e2e_launch_tests e2e_real_programs)
endif()
if(TARGET e2e_launch_tests)
  add_test(NAME soak.killed_launch COMMAND e2e_launch_tests --gtest_filter=KilledLaunchTest.*)
  set_tests_properties(soak.killed_launch PROPERTIES LABELS soak TIMEOUT 3600 ENVIRONMENT MAYFLY_SOAK=1)
endif()
