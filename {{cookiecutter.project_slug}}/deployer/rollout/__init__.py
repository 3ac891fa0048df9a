"""Who carries a rollout out? Run, gate, guard, what surrounds it, and who is told. Shell."""
