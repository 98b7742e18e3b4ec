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
