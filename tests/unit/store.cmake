# The file system that fails by a seed; the simulator uses it, too.
add_library(clusterd_faulty_fs STATIC
  ${CMAKE_SOURCE_DIR}/tests/sim/faulty_content.c
  ${CMAKE_SOURCE_DIR}/tests/sim/faulty_fs.c)
target_link_libraries(clusterd_faulty_fs PUBLIC clusterd_flags clusterd_store)
target_include_directories(clusterd_faulty_fs PUBLIC ${CMAKE_SOURCE_DIR}/tests)

clusterd_unit_test(fs clusterd_faulty_fs)
clusterd_unit_test(lock clusterd_store)
clusterd_unit_test(recovery clusterd_faulty_fs)
clusterd_unit_test(vote clusterd_faulty_fs)
clusterd_unit_test(wal clusterd_faulty_fs)
