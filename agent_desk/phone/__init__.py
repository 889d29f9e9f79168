"""The phone in the page: claims, its WebSocket, the verbs of a call, recordings."""
