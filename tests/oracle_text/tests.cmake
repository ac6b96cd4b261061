add_executable(text_probe ${CMAKE_CURRENT_LIST_DIR}/text_probe.cpp)
target_link_libraries(text_probe PRIVATE mayfly_text mayfly_warnings)
