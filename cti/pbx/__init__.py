"""An Asterisk of our own: its program, its configuration, its process."""
