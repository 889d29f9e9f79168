"""Scripts, canned texts and articles."""
