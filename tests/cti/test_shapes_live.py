"""Some shapes played on the real Asterisk now: it still says what the corpus holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cti.record_shapes import record
from tests.cti.recordings import expected, recording, signals_of

pytestmark = pytest.mark.asterisk

SHAPES = (
    *("queue_timeout", "pickup_queue", "parked_and_taken_by_the_same", "originate_local_kept"),
    *("attended_transfer_ami", "relinked_while_talking", "other_blind_transfer"),
    *("callback_declined_then_the_next", "survey_after_the_agent", "preferred_agent_answers"),
)


def story(signals: list[dict[str, object]]) -> list[tuple[object, ...]]:
    """What does not change from one playing to the next."""
    names = ("event", "endpoint", "queue", "cause", "outcome", "answered_by", "transferred_to")
    return [tuple(signal.get(name) for name in names) for signal in signals]


async def test_asterisk_still_says_what_the_corpus_holds(tmp_path: Path) -> None:
    assert await record(SHAPES, tmp_path) == []
    for shape in SHAPES:
        assert story(signals_of(recording(shape, tmp_path))) == story(expected(shape)), shape
