# localhub serves the official Python client, two generations of it; and our own client asks for the
# same things as that client does.
mayfly_oracle(hub_client_2 oracle_hub/serves_the_official_client.py oracle)
mayfly_oracle(hub_client_0 oracle_hub/serves_the_official_client.py oracle-hub0)
mayfly_oracle(hub_trace oracle_hub/same_requests_test.py)
# tests/localhub/program_test.cpp starts the program itself.
if(TARGET localhub_tests)
  add_dependencies(localhub_tests localhub)
endif()
