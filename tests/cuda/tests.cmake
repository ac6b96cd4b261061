# The kernels' tests; every one carries the label `kernels`. The kernels' own sources are compiled
# for the emulator by the host's compiler, so this needs neither nvcc nor libtorch.
#
#   kernel_tests      what kernels compute, and what only the emulator can tell (bytes, schedules)
#   kernel_races      the same kernels under ThreadSanitizer, which takes each CUDA thread for one
#   kernel_gpu_tests  what kernels compute, on a GPU; with nvcc only, run by ./dev gpu
set(kernel_folder ${CMAKE_CURRENT_SOURCE_DIR}/cuda)
file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cuda/*.cu)
set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-xc++;-Wno-unknown-pragmas")
file(GLOB emulator CONFIGURE_DEPENDS ${kernel_folder}/emulator/*.cpp)
file(GLOB kernel_cases CONFIGURE_DEPENDS ${kernel_folder}/cases/*.cpp)
file(GLOB numeric_tests CONFIGURE_DEPENDS ${kernel_folder}/*_test.cpp)
file(GLOB emulated_tests CONFIGURE_DEPENDS ${kernel_folder}/emulated/*_test.cpp)
file(GLOB page_tests CONFIGURE_DEPENDS ${kernel_folder}/page/*.cpp)
file(GLOB race_tests CONFIGURE_DEPENDS ${kernel_folder}/races/*_test.cpp)

add_library(kernel_emulator STATIC ${emulator})
target_include_directories(kernel_emulator PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(kernel_emulator PRIVATE mayfly_warnings)
add_library(emulated_kernels STATIC ${kernels})
target_link_libraries(emulated_kernels PUBLIC kernel_emulator PRIVATE mayfly_warnings)

function(mayfly_kernel_tests name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE mayfly_warnings GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE MAYFLY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endfunction()

mayfly_kernel_tests(kernel_tests ${numeric_tests} ${emulated_tests} ${kernel_cases} ${page_tests})
target_link_libraries(kernel_tests PRIVATE emulated_kernels mayfly_core)
gtest_discover_tests(kernel_tests DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 LABELS kernels)

# The emulator itself is not instrumented: it tells ThreadSanitizer what a fiber is. Under the
# address sanitizer, which excludes the other, the program is built all the same and skips.
add_library(kernel_emulator_races STATIC ${emulator})
target_include_directories(kernel_emulator_races PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(kernel_emulator_races PRIVATE mayfly_warnings)
mayfly_kernel_tests(kernel_races ${race_tests} ${kernel_cases} ${kernels})
target_link_libraries(kernel_races PRIVATE kernel_emulator_races)
if(NOT MAYFLY_SANITIZE)
  target_compile_definitions(kernel_emulator_races PRIVATE MAYFLY_RACES)
  target_compile_options(kernel_races PRIVATE -fsanitize=thread -O1)
  target_link_options(kernel_races PRIVATE -fsanitize=thread)
endif()
add_test(NAME kernels.races COMMAND ${kernel_folder}/races/run.sh $<TARGET_FILE:kernel_races>)
set_tests_properties(kernels.races PROPERTIES TIMEOUT 300 PROCESSORS ${MAYFLY_COMPUTES} LABELS kernels SKIP_RETURN_CODE 77)

# On a GPU: compiled and linked wherever there is nvcc, run by ./dev gpu alone.
if(TARGET mayfly_kernels)
  set(gpu_memory ${kernel_folder}/gpu/gpu_memory.cpp)
  mayfly_kernel_tests(kernel_gpu_tests ${numeric_tests} ${gpu_memory})
  add_executable(kernel_bench ${CMAKE_SOURCE_DIR}/bench/kernel_bench.cpp ${kernel_cases} ${gpu_memory})
  foreach(program kernel_gpu_tests kernel_bench)
    target_include_directories(${program} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${program} PRIVATE mayfly_kernels mayfly_warnings)
  endforeach()
endif()

# What nvcc made of them, where there is nvcc; elsewhere the program says that and skips.
mayfly_kernel_tests(kernel_compiled_tests ${kernel_folder}/compiled/compiled_test.cpp
  ${kernel_folder}/compiled/machine_code.cpp)
target_include_directories(kernel_compiled_tests PRIVATE ${CMAKE_SOURCE_DIR})
set(kernel_archive "")
if(TARGET mayfly_kernels)
  set(kernel_archive $<TARGET_FILE:mayfly_kernels>)
  add_dependencies(kernel_compiled_tests mayfly_kernels)
  target_include_directories(kernel_compiled_tests SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
endif()
target_compile_definitions(kernel_compiled_tests PRIVATE
  MAYFLY_KERNEL_ARCHIVE="${kernel_archive}"
  MAYFLY_CUDA_TOOLS="${MAYFLY_CACHE}/cuda-tools-13.5.37/bin")
add_test(NAME kernels.compiled COMMAND kernel_compiled_tests)
set_tests_properties(kernels.compiled PROPERTIES TIMEOUT 600 PROCESSORS ${MAYFLY_COMPUTES} LABELS kernels)
