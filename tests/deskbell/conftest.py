"""The command line as a fixture for all tests of this room."""

from tests.deskbell.command import deskbell

__all__ = ["deskbell"]
