"""The web: sign-in, the agents' desk, its JSON actions and live push."""
