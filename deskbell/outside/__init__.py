"""The outside world, for the demo and the tests: whom Deskbell writes to and is written to by."""
