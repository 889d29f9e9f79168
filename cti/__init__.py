"""Asterisk: AMI link, call model, screen pop, agents' states, call control, embedded PBX."""
