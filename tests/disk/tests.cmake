# Disks that fail and power that goes. disk_probe does what trainer and agent do; the trainer's files
# that it needs know bytes, not tensors, so they build without libtorch.
add_executable(disk_probe ${CMAKE_CURRENT_LIST_DIR}/disk_probe.cpp ${CMAKE_SOURCE_DIR}/trainer/checkpoint.cpp
  ${CMAKE_SOURCE_DIR}/trainer/adapter_folder.cpp ${CMAKE_SOURCE_DIR}/trainer/tokenizer_files.cpp
  ${CMAKE_SOURCE_DIR}/trainer/training_state.cpp)
target_link_libraries(disk_probe PRIVATE mayfly_agent mayfly_warnings)
mayfly_tests(disk_tests FOLDERS disk LINK mayfly_core)
add_dependencies(disk_tests disk_probe)
target_compile_definitions(disk_tests PRIVATE MAYFLY_DISK_PROBE="$<TARGET_FILE:disk_probe>")
add_test(NAME soak.power_cut COMMAND disk_tests --gtest_filter=PowerCutTest.*)
set_tests_properties(soak.power_cut PROPERTIES LABELS soak TIMEOUT 3600 ENVIRONMENT MAYFLY_SOAK=1)
