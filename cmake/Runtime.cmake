# requirements/runtime.txt becomes a text in generated/runtime_list.h.
file(READ ${CMAKE_SOURCE_DIR}/requirements/runtime.txt RUNTIME_LIST)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/requirements/runtime.txt)
configure_file(cmake/runtime_list.h.in ${CMAKE_BINARY_DIR}/generated/runtime_list.h @ONLY)
