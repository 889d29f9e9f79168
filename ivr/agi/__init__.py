"""FastAGI: Asterisk connects for each caller, says who is there, and does what it is told."""
