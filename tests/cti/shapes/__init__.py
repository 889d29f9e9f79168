"""All shapes of calls that the corpus holds, by theme; importing the themes fills the register."""

from tests.cti.shapes import (
    before_and_after,
    callbacks,
    conferences,
    direct_calls,
    originated,
    other_calls,
    other_queues,
    parking,
    queues,
    relinked,
    taken_over,
    transfers,
)
from tests.cti.shapes.registry import OTHER, OURS, Shape

__all__ = [
    "OTHER",
    "OURS",
    "Shape",
    "before_and_after",
    "callbacks",
    "conferences",
    "direct_calls",
    "originated",
    "other_calls",
    "other_queues",
    "parking",
    "queues",
    "relinked",
    "taken_over",
    "transfers",
]
