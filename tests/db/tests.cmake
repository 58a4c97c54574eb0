if(TARGET db)
  sweep_add_test(db LIBRARIES db LABELS unit)
endif()
