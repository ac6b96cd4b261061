add_executable(safetensors_probe ${CMAKE_CURRENT_LIST_DIR}/safetensors_probe.cpp)
target_link_libraries(safetensors_probe PRIVATE mayfly_core mayfly_warnings)
mayfly_oracle(safetensors ${CMAKE_CURRENT_LIST_DIR}/accepts_no_more.py 3000)
