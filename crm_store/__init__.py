"""The shared memory: customers, interactions, calls, agents, jobs, and the news of the rooms."""
