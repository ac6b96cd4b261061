# Whole launches with real processes: launch, status, local provider, agent, local hub, and a trainer
# without a model; where it is built, the real one too. The programs of each kind stand together in
# one folder, as they do when they are installed: without debugging information, which makes them
# twenty times as large, and a launch packs, sends and hashes two of them.
function(mayfly_e2e_programs target folder trainer)
  set(placed)
  foreach(program launch status agent localhub ${trainer})
    set(name ${program})
    if(program STREQUAL ${trainer})
      set(name train)
    endif()
    add_custom_command(OUTPUT ${folder}/${name}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
      COMMAND ${CMAKE_STRIP} --strip-debug -o ${folder}/${name} $<TARGET_FILE:${program}>
      DEPENDS ${program} VERBATIM)
    list(APPEND placed ${folder}/${name})
  endforeach()
  add_custom_target(${target} DEPENDS ${placed})
endfunction()

mayfly_tests(e2e_launch_tests FOLDERS e2e_launch WAITING "*" LINK mayfly_launcher tiny_model)
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
  add_test(NAME soak.long_life COMMAND e2e_launch_tests --gtest_filter=LongLifeTest.*)
  add_test(NAME soak.killed_launch COMMAND e2e_launch_tests --gtest_filter=KilledLaunchTest.*)
  set_tests_properties(soak.killed_launch soak.long_life PROPERTIES LABELS soak TIMEOUT 3600 ENVIRONMENT MAYFLY_SOAK=1)
endif()
