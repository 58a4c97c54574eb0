sweep_add_test(fit LIBRARIES fit LABELS "unit;numerics")
if(SWEEP_SANITIZE)
  target_compile_definitions(fit_tests PRIVATE SWEEP_SHORT_SIMULATIONS)
endif()
# The table of docs/fitting.md; SWEEP_COVERAGE=500 makes it as it stands there.
add_test(NAME fit_coverage COMMAND fit_tests "Coverage table for the documentation")
set_tests_properties(fit_coverage PROPERTIES LABELS "numerics;long" TIMEOUT 7200)
