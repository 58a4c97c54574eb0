sweep_add_test(core LIBRARIES core LABELS unit)
