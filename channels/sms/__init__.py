"""SMS: segments, words that stop it, and the providers that carry it."""
