# The simulation as a program, for as many seeds as there is time (./dev soak).
mayfly_program(agent_sim ${CMAKE_SOURCE_DIR}/tests/agent/agent_sim.cpp mayfly_agent)
