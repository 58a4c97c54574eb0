if(TARGET trainer)
  sweep_add_test(trainer LIBRARIES trainer LABELS unit)

  # The real program on run folders: attempts, kills, resumes.
  file(GLOB trainer_process_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/trainer/process/*_test.cc)
  sweep_add_test(trainer_process SOURCES ${trainer_process_sources} LIBRARIES trainer LABELS crash TIMEOUT 300)
  add_dependencies(trainer_process_tests clip_train)
endif()
