"""The shared memory: customers, interactions, calls, agents, jobs, and the news that the rooms exchange."""
