clusterd_unit_test(log_terms clusterd_election)
clusterd_unit_test(configuration clusterd_election)
clusterd_unit_test(progress clusterd_election)
clusterd_unit_test(raft clusterd_election)
clusterd_unit_test(raft_messages clusterd_election)

# Raft alone, in worlds where everything goes wrong; and bugs planted, each to be found.
add_executable(raft-sim
  ../sim/raft_bugs.c
  ../sim/raft_check.c
  ../sim/raft_faults.c
  ../sim/raft_host.c
  ../sim/raft_print.c
  ../sim/raft_sim.c
  ../sim/raft_world.c)
target_include_directories(raft-sim PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(raft-sim PRIVATE clusterd_flags clusterd_election)
add_test(NAME sim/raft COMMAND raft-sim --seeds 1 300)
add_test(NAME sim/raft_bites COMMAND raft-sim --seeds 1 300 --bugs
  vote-not-saved sync-lies leader-counts-unsynced old-term-committed log-not-compared votes-twice two-changes
  configuration-forgotten read-without-round prev-not-checked cut-not-done commit-unchecked lease-transferred)
set_tests_properties(sim/raft sim/raft_bites PROPERTIES TIMEOUT 120)
