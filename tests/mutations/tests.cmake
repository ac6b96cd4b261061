# ./dev mutate runs the mutations, in an hour; that each still applies and names tests that exist is seen here.
find_program(git_program git)
if(git_program)
  add_test(NAME mutations.apply COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/apply_test.py ${CMAKE_SOURCE_DIR})
endif()
