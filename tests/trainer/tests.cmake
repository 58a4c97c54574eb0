if(TARGET trainer)
  sweep_add_test(trainer LIBRARIES trainer LABELS unit)

  # Peaks of memory, each in a process of its own.
  add_test(NAME loss_memory_short COMMAND trainer_tests "[loss_memory_short]")
  set_tests_properties(loss_memory_short PROPERTIES LABELS unit TIMEOUT 120)
  add_test(NAME loss_memory COMMAND trainer_tests "[loss_memory]")
  set_tests_properties(loss_memory PROPERTIES LABELS long TIMEOUT 3600)

  # The real program on run folders: attempts, kills, resumes.
  file(GLOB trainer_process_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/trainer/process/*_test.cc)
  sweep_add_test(trainer_process SOURCES ${trainer_process_sources} LIBRARIES trainer LABELS crash TIMEOUT 600
    ARGUMENTS "~[sharding]")
  add_dependencies(trainer_process_tests clip_train fault_shim)
  target_compile_definitions(trainer_process_tests PRIVATE SWEEP_FAULT_SHIM="$<TARGET_FILE:fault_shim>")

  # What several processes share out, in as many as four of them.
  add_test(NAME trainer_sharding COMMAND trainer_process_tests "[sharding]")
  set_tests_properties(trainer_sharding PROPERTIES LABELS crash TIMEOUT 600)

  # Whatever CPU this is, the tests that make products run with each library that may make them: a CPU of Intel's
  # takes MKL by itself, any other one oneDNN.
  set_property(TEST trainer trainer_process trainer_sharding APPEND PROPERTY ENVIRONMENT SWEEP_MATRIX_LIBRARY=mkl)
  add_test(NAME trainer_onednn COMMAND trainer_tests)
  add_test(NAME trainer_process_onednn COMMAND trainer_process_tests "~[sharding]~[stops]")
  add_test(NAME trainer_sharding_onednn COMMAND trainer_process_tests "[sharding]")
  set_tests_properties(trainer_onednn PROPERTIES LABELS unit)
  set_tests_properties(trainer_process_onednn trainer_sharding_onednn PROPERTIES LABELS crash TIMEOUT 600)
  set_property(TEST trainer_onednn trainer_process_onednn trainer_sharding_onednn
    APPEND PROPERTY ENVIRONMENT SWEEP_MATRIX_LIBRARY=onednn)

  # Stops at 100 random moments with each library.
  add_test(NAME trainer_stops_long COMMAND trainer_process_tests "[stops]")
  set_tests_properties(trainer_stops_long PROPERTIES LABELS "crash;long" TIMEOUT 3600 ENVIRONMENT STOPS=100)

  # The same program disturbed at its calls that change files, and killed at random steps: at every 41st, at all.
  add_test(NAME trainer_faults COMMAND trainer_process_tests "[every_call]")
  set_tests_properties(trainer_faults PROPERTIES LABELS crash TIMEOUT 900 ENVIRONMENT FAULT_EVERY=41)
  add_test(NAME trainer_faults_long COMMAND trainer_process_tests "[every_call],[random_steps]")
  set_tests_properties(trainer_faults_long PROPERTIES LABELS "crash;long" TIMEOUT 7200
    ENVIRONMENT "FAULT_EVERY=1;RANDOM_KILLS=100")

  # LibTorch has a CHECK of its own, which aborts: Catch's has to come after it.
  foreach(tests trainer_tests trainer_process_tests)
    target_compile_options(${tests} PRIVATE "SHELL:-include c10/util/Logging.h")
  endforeach()

  # Live comparison with the PyPI packages; scripts/parity-setup makes the environment.
  set(parity_python ${PROJECT_SOURCE_DIR}/.venv-parity/bin/python)
  if(EXISTS ${parity_python})
    add_test(NAME trainer_parity
      COMMAND ${parity_python} ${CMAKE_CURRENT_SOURCE_DIR}/trainer/parity/parity.py $<TARGET_FILE:trainer_tests>)
    set_tests_properties(trainer_parity PROPERTIES LABELS parity TIMEOUT 600)
  endif()
endif()
