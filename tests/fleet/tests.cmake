# Plans on fake clouds, and many runs at once on this machine, with the real programs and a trainer
# without a model.
mayfly_tests(fleet_tests FOLDERS fleet WAITING "*" LINK mayfly_launcher tiny_model fake_clouds)
target_compile_definitions(fleet_tests PRIVATE MAYFLY_PROGRAMS="${CMAKE_BINARY_DIR}/e2e/fake")
add_dependencies(fleet_tests e2e_programs)
