sweep_add_test(fit LIBRARIES fit LABELS "unit;numerics")
