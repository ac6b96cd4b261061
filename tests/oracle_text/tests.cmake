add_executable(text_probe ${CMAKE_CURRENT_LIST_DIR}/text_probe.cpp)
target_link_libraries(text_probe PRIVATE mayfly_text mayfly_warnings)
mayfly_oracle(text_conversations ${CMAKE_CURRENT_LIST_DIR}/conversations.py)
mayfly_oracle(text_hard_strings ${CMAKE_CURRENT_LIST_DIR}/hard_strings.py 3000)
