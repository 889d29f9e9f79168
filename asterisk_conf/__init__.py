"""Jinja templates of the PBX's configuration; data only."""
