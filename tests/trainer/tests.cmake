if(TARGET trainer)
  sweep_add_test(trainer LIBRARIES trainer LABELS unit)
endif()
