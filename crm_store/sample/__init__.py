"""The sample mall that the demo and the tests live in."""
