# Fake clouds: vendors' APIs on loopback, with the real clients in front of them.
file(GLOB clouds CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/clouds/*.cpp)
list(FILTER clouds EXCLUDE REGEX "_test\\.cpp$")
add_library(fake_clouds STATIC ${clouds})
target_link_libraries(fake_clouds PUBLIC mayfly_net mayfly_localhub
  PRIVATE PkgConfig::httplib OpenSSL::SSL OpenSSL::Crypto yaml-cpp mayfly_warnings)
target_compile_definitions(fake_clouds PRIVATE MAYFLY_SSHD_FOLDER="${MAYFLY_CACHE}/sshd")
mayfly_tests(cloud_tests FOLDERS clouds LINK fake_clouds mayfly_launcher)
add_dependencies(cloud_tests launch)
# What drills/*.sh run; rehearsed here against a fake.
mayfly_program(cloud_drill ${CMAKE_SOURCE_DIR}/drills/cloud_drill.cpp mayfly_launcher)
add_dependencies(cloud_tests cloud_drill)
