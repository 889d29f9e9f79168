"""The desk's written work: conversations over all channels, their page, their API, live."""
