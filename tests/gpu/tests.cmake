# On a machine without a GPU the program says so and is counted as skipped.
if(TARGET trainer)
  sweep_add_test(gpu LIBRARIES trainer LABELS gpu TIMEOUT 600)
  add_dependencies(gpu_tests clip_train)
  target_compile_options(gpu_tests PRIVATE "SHELL:-include c10/util/Logging.h")  # as the trainer's
  set_tests_properties(gpu PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED: ")
endif()
