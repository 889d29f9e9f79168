"""Nothing lost, nothing twice: the service is killed while messages stream in and answers go out.

A few kills here; `python -m bench killed` does two hundred.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.channels.killing import stream_and_kill

pytestmark = pytest.mark.db


async def test_killed_at_any_moment_nothing_is_lost_and_nothing_comes_twice(
    database_url: str, tmp_path: Path
) -> None:
    count = await stream_and_kill(database_url, tmp_path, messages=90, kills=3, seed=2026)
    assert not count.faults
    assert count.inbound == 90
    # Answers to chats are shown, not sent.
    assert count.sent + count.uncertain == 60
