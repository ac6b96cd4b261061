# Whole launches with real processes: launch, status, local provider, agent, local hub, and a trainer
# without a model. The programs stand together in one folder, as they do when they are installed.
set(e2e_programs ${CMAKE_BINARY_DIR}/e2e)
add_custom_target(e2e_programs
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${e2e_programs}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${e2e_programs}
  COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:launch> ${e2e_programs}/launch
  COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:status> ${e2e_programs}/status
  COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:agent> ${e2e_programs}/agent
  COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:localhub> ${e2e_programs}/localhub
  COMMAND ${CMAKE_COMMAND} -E create_hardlink $<TARGET_FILE:fake_trainer> ${e2e_programs}/train
  DEPENDS launch status agent localhub fake_trainer)
mayfly_tests(e2e_launch_tests FOLDERS e2e_launch LINK mayfly_launcher tiny_model)
target_compile_definitions(e2e_launch_tests PRIVATE MAYFLY_PROGRAMS="${e2e_programs}")
add_dependencies(e2e_launch_tests e2e_programs)
