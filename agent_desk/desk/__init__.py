"""The agent's own page, and what it asks of the server."""
