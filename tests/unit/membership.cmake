add_library(gossip_fixture STATIC gossip_fixture.c)
target_link_libraries(gossip_fixture PUBLIC clusterd_flags clusterd_membership clusterd_wire PkgConfig::CMOCKA)
clusterd_unit_test(gossip gossip_fixture)
clusterd_unit_test(own gossip_fixture)
clusterd_unit_test(newcomer gossip_fixture)
clusterd_unit_test(exchange gossip_fixture)
clusterd_unit_test(members clusterd_membership)
clusterd_unit_test(gossip_codec clusterd_wire)
clusterd_unit_test(probe clusterd_membership)
clusterd_unit_test(clock clusterd_membership)
clusterd_unit_test(selector clusterd_membership)

# The core alone, in worlds where everything goes wrong; bugs planted, each to be found; a large cluster; one node that hangs.
add_executable(gossip-sim
  ../sim/gossip_bugs.c
  ../sim/gossip_check.c
  ../sim/gossip_faults.c
  ../sim/gossip_sim.c
  ../sim/gossip_table.c
  ../sim/gossip_world.c)
target_include_directories(gossip-sim PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(gossip-sim PRIVATE clusterd_flags clusterd_membership clusterd_wire)
add_test(NAME sim/gossip COMMAND gossip-sim --seeds 1 150)
add_test(NAME sim/gossip_bites COMMAND gossip-sim --seeds 1 200 --bugs)
add_test(NAME sim/gossip_large COMMAND gossip-sim --large)
add_test(NAME sim/gossip_paused COMMAND gossip-sim --paused)
set_tests_properties(sim/gossip sim/gossip_bites sim/gossip_large sim/gossip_paused PROPERTIES TIMEOUT 120)
