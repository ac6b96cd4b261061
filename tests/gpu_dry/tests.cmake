# ./dev gpu cannot run here; the script itself can, from its first line to its report.
if(TARGET mayfly_trainer)
  add_test(NAME dev.gpu_dry COMMAND ${CMAKE_SOURCE_DIR}/dev gpu --dry)
  set_tests_properties(dev.gpu_dry PROPERTIES TIMEOUT 200 PROCESSORS ${MAYFLY_COMPUTES} ENVIRONMENT
    "MAYFLY_GPU_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};MAYFLY_GPU_OUT=${CMAKE_BINARY_DIR}/gpu-report")
endif()
