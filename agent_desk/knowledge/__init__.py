"""What agents are given to say and to know, as JSON."""
