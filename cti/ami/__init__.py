"""Asterisk's manager interface: bytes, actions, one link that comes back."""
