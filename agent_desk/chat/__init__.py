"""The chat on the shop's site: its script, its socket, its files, and a sample page to try it."""
