"""Chat with visitors of the shop's site."""
