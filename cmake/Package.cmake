# The release files that ./dev package makes:
#   programs  launch, status, agent, localhub: a few MB, the system's libraries
#   trainer   train with the libtorch it was linked with, which is found beside it: bin/train looks
#             in ../lib/mayfly, so that the folder can be put anywhere
foreach(program launch status agent localhub)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION bin COMPONENT programs)
  endif()
endforeach()
install(FILES README.md CHANGELOG.md LICENSE DESTINATION share/doc/mayfly COMPONENT programs)
install(FILES ${jinja_dir}/LICENSE DESTINATION share/doc/mayfly COMPONENT programs
  RENAME LICENSE.llama.cpp)
install(DIRECTORY configs/ DESTINATION share/mayfly/configs COMPONENT programs)

if(TARGET train)
  set_target_properties(train PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/mayfly")
  install(TARGETS train RUNTIME DESTINATION bin COMPONENT trainer)
  set(cuda_lib ${MAYFLY_TORCH_DIR}/nvidia/cu13/lib)
  install(FILES ${torch_lib}/libtorch_cpu.so ${torch_lib}/libc10.so ${torch_lib}/libgomp.so.1
    ${cuda_lib}/libcudart.so.13 ${cuda_lib}/libcupti.so.13
    DESTINATION lib/mayfly COMPONENT trainer)
  install(FILES LICENSE DESTINATION share/doc/mayfly-trainer COMPONENT trainer)
  install(FILES ${MAYFLY_TORCH_DIR}/torch-2.11.0.dist-info/licenses/LICENSE OPTIONAL
    DESTINATION share/doc/mayfly-trainer COMPONENT trainer RENAME LICENSE.torch)
endif()

set(CPACK_PACKAGE_NAME mayfly)
set(CPACK_PACKAGE_VENDOR mayfly)
set(CPACK_PACKAGE_CONTACT "the authors of mayfly")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Fine-tunes on a rented machine that makes itself go away")
set(CPACK_PACKAGE_FILE_NAME mayfly-${MAYFLY_VERSION}-linux-x86_64)
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR TGZ DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
set(CPACK_COMPONENTS_ALL programs)
if(TARGET train)
  list(APPEND CPACK_COMPONENTS_ALL trainer)
endif()
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME mayfly)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
# The trainer's libraries are its own, in lib/mayfly: dpkg-shlibdeps would look for their packages.
set(CPACK_DEBIAN_TRAINER_PACKAGE_NAME mayfly-trainer)
set(CPACK_DEBIAN_TRAINER_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_TRAINER_PACKAGE_DEPENDS "libstdc++6, libpcre2-8-0, libutf8proc2 | libutf8proc3, libzstd1, libssl3 | libssl3t64")
include(CPack)
