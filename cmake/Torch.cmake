# libtorch out of the torch wheel that ./dev setup unpacked. Own imported targets, because
# find_package(Torch) insists on a CUDA compiler and drags libtorch_cuda in.
#   torch::cpu   libtorch_cpu and libc10: runs with no NVIDIA driver and no other CUDA library but
#                the two small ones it was linked with (cudart, cupti), which stand beside it.
# Include directories come by -idirafter: the wheel carries fmt 12, which must not shadow Debian's.
set(MAYFLY_TORCH_DIR "${MAYFLY_CACHE}/torch-2.11.0" CACHE PATH "the unpacked torch wheel")
set(torch_lib ${MAYFLY_TORCH_DIR}/torch/lib)
if(NOT EXISTS ${torch_lib}/libtorch_cpu.so)
  message(FATAL_ERROR "${torch_lib}/libtorch_cpu.so is missing: run ./dev setup, which unpacks it, "
    "or configure with -DMAYFLY_TRAINER=off")
endif()
add_library(torch_cpu INTERFACE)
add_library(torch::cpu ALIAS torch_cpu)
target_compile_options(torch_cpu INTERFACE
  "SHELL:-idirafter ${MAYFLY_TORCH_DIR}/torch/include"
  "SHELL:-idirafter ${MAYFLY_TORCH_DIR}/torch/include/torch/csrc/api/include")
target_compile_definitions(torch_cpu INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_libraries(torch_cpu INTERFACE ${torch_lib}/libtorch_cpu.so ${torch_lib}/libc10.so)
# Kernels register themselves when the library is loaded, so it must be kept though nothing of it
# may be referenced; and what libtorch_cpu itself leaves open is resolved at run time.
target_link_options(torch_cpu INTERFACE -Wl,--no-as-needed -Wl,--allow-shlib-undefined
  -Wl,--unresolved-symbols=ignore-in-shared-libs -Wl,-rpath,${torch_lib} -Wl,--disable-new-dtags)
