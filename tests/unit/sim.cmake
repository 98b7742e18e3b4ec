clusterd_unit_test(linear linear)
