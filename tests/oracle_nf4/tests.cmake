add_executable(kernel_nf4 ${CMAKE_CURRENT_LIST_DIR}/nf4_main.cpp)
target_link_libraries(kernel_nf4 PRIVATE emulated_kernels mayfly_warnings)
mayfly_oracle(nf4 ${CMAKE_CURRENT_LIST_DIR}/compare.py)
