"""Agents in their queues, as Asterisk has them."""
