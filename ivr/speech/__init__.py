"""Speech: what callers hear, as text and as sound."""
