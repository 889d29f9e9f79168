"""Speaking with a caller: the line, and the conversation on it."""
