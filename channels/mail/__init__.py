"""Mail: its parsing, the inboxes that it comes by, and the letters that go out."""
