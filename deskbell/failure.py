"""How a command fails: one clear line and an exit code, never a traceback.

Owns the exit codes. Knows no command.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit codes mean, the same for every command."""

    DONE = 0
    FAILED = 1  # it was tried and did not work, or a check found something wrong
    USAGE = 2  # the command line was not understood
    CONFIGURATION = 3  # the configuration can't be used
    INTERRUPTED = 130  # Ctrl-C


class CommandFailed(Exception):
    """A command can't go on. The message says what is wrong and what to do, in a line."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
