# The files of cloud-init/ become texts in generated/cloud_init.h: one binary, nothing to find at
# run time.
foreach(file user-data.yaml.in user-data.sh.in bootstrap.sh fuse.sh receive.sh watch.sh host.sh
    mayfly-agent.service mayfly-trainer.service mayfly-rescue.service mayfly-watchdog.service mayfly-watchdog.timer)
  file(READ ${CMAKE_SOURCE_DIR}/cloud-init/${file} CLOUD_INIT_${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/cloud-init/${file})
endforeach()
configure_file(cmake/cloud_init.h.in ${CMAKE_BINARY_DIR}/generated/cloud_init.h @ONLY)
