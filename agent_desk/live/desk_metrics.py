"""The desk's numbers for operators, read at the moment of asking.

Owns their names; counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from agent_desk.live.live_state import LiveState
from agent_desk.live.push import PushHub


class DeskMetrics(Collector):
    def __init__(self, hub: PushHub, live: LiveState) -> None:
        self._hub = hub
        self._live = live

    def collect(self) -> Iterator[Metric]:
        counters = self._hub.counters
        yield GaugeMetricFamily(
            "deskbell_desks", "Desks connected to the push.", value=len(self._hub.desks)
        )
        yield GaugeMetricFamily(
            "deskbell_live_calls",
            "Calls alive now.",
            value=len(self._hub.topic("calls").documents),
        )
        for name, meaning, value in (
            (
                "deskbell_screen_pops",
                "Screen pops put on agents' screens.",
                self._live.screens.pops,
            ),
            ("deskbell_push_frames", "Frames written to desks.", counters.frames),
            ("deskbell_push_behind", "Times that a desk read too slowly.", counters.fell_behind),
            ("deskbell_push_dropped", "Desks dropped because they did not read.", counters.dropped),
            (
                "deskbell_push_mistakes",
                "Messages from desks that made no sense.",
                counters.mistakes,
            ),
        ):
            yield CounterMetricFamily(name, meaning, value=value)
