# A trainer without a model, for tests of the agent that start real processes.
mayfly_program(fake_trainer ${CMAKE_SOURCE_DIR}/tests/fakes/fake_trainer.cpp mayfly_core)
if(TARGET agent_tests)
  add_dependencies(agent_tests agent fake_trainer)
endif()
