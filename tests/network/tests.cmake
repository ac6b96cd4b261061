# Every fault of a network at every call (network_matrix_test.cpp). The short run is among the tests
# of every change; all cells, three seeds, with `ctest -L soak`.
mayfly_tests(network_tests FOLDERS network
  LINK mayfly_localhub mayfly_agent mayfly_net PkgConfig::httplib OpenSSL::SSL OpenSSL::Crypto)
if(TARGET network_tests)
  add_test(NAME soak.network COMMAND network_tests)
  set_tests_properties(soak.network PROPERTIES LABELS soak TIMEOUT 3600 ENVIRONMENT MAYFLY_SOAK=1)
endif()
