"""Agents, their queues and their skills."""
