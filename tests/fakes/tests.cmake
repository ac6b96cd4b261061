# A trainer without a model, for tests of the agent that start real processes.
mayfly_program(fake_trainer ${CMAKE_SOURCE_DIR}/tests/fakes/fake_trainer.cpp mayfly_core)
if(TARGET agent_tests)
  add_dependencies(agent_tests agent fake_trainer)
endif()

add_library(tiny_model STATIC ${CMAKE_SOURCE_DIR}/tests/fakes/tiny_model.cpp)
target_link_libraries(tiny_model PUBLIC mayfly_text PRIVATE mayfly_warnings)
target_link_libraries(launcher_tests PRIVATE tiny_model)

# A trainer that lacks a library which no machine has and no wheel brings.
add_library(mayfly_nowhere SHARED ${CMAKE_SOURCE_DIR}/tests/fakes/nowhere.cpp)
add_executable(lacking_trainer ${CMAKE_SOURCE_DIR}/tests/fakes/lacking_trainer.cpp)
target_link_libraries(lacking_trainer PRIVATE mayfly_nowhere)
set_target_properties(mayfly_nowhere lacking_trainer PROPERTIES SKIP_BUILD_RPATH ON
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/nowhere RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/nowhere)
