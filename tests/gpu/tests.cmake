# On a machine without a GPU the program says so and is counted as skipped.
if(TARGET trainer)
  sweep_add_test(gpu LIBRARIES trainer LABELS gpu TIMEOUT 300)
  set_tests_properties(gpu PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED: ")
endif()
