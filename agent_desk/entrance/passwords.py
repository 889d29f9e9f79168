"""Passwords: made into hashes and compared with them, off the event loop.

Owns the choice of argon2 and its cost, and that an unknown login costs as much as a known one.
Refuses to know agents and sessions; it never logs and never keeps a password.
"""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# 46 MiB, two passes, one lane: above OWASP's floor, and one core for about 0.1 s a sign-in.
_HASHER = PasswordHasher(time_cost=2, memory_cost=46 * 1024, parallelism=1)

LONGEST_PASSWORD = 1024
SHORTEST_PASSWORD = 8

MOST_WAITING = 200
"""Sign-ins that may wait for their turn; more are told to come again."""


class TooBusy(Exception):
    """More people want to sign in than can be checked in bearable time."""


def hash_password(password: str) -> str:
    """The password as it is stored. Takes about 0.1 s of CPU.

    Raises ValueError for one that is shorter than 8 or longer than 1,024 characters.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return _HASHER.hash(_normal(password))


def _normal(password: str) -> str:
    # The same letters typed on another keyboard are the same password (RFC 8265).
    return unicodedata.normalize("NFC", password)


def _matches(kept_hash: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(kept_hash or _nobody(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    # Compared with where there is no such login, so that the answer takes as long.
    return _HASHER.hash("nobody has this password")


class PasswordCheck:
    """Compares passwords, a few at a time, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
        self._waiting = 0

    async def matches(self, kept_hash: str | None, password: str) -> bool:
        """Whether the password is the one hashed; False at the same cost if there is no hash.

        Raises TooBusy when too many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise TooBusy
        self._waiting += 1
        try:
            same = await asyncio.get_running_loop().run_in_executor(
                self._threads, _matches, kept_hash, password[:LONGEST_PASSWORD]
            )
        finally:
            self._waiting -= 1
        return same and kept_hash is not None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
