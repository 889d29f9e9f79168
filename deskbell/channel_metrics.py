"""The written channels' numbers for operators, read at the moment of asking.

Owns their names; counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from channels.carrier import Figures
from crm_store.models import Channel

OUTCOMES = ("accepted", "refused", "put_off", "unsure", "not_wanted", "repeated")


class ChannelMetrics(Collector):
    """`figures` are the outbox's by channel; `offers` and `visitors` count what is so now."""

    def __init__(
        self,
        figures: Callable[[], Mapping[Channel, Figures]],
        offers: Callable[[], int],
        visitors: Callable[[], int],
    ) -> None:
        self._figures = figures
        self._offers = offers
        self._visitors = visitors

    def collect(self) -> Iterator[Metric]:
        outcomes = CounterMetricFamily(
            "deskbell_outbox_messages",
            "What became of messages that were to go out, since the start.",
            labels=["channel", "outcome"],
        )
        sending = GaugeMetricFamily(
            "deskbell_outbox_sending", "Messages on their way out now.", labels=["channel"]
        )
        for channel, figures in sorted(self._figures().items()):
            sending.add_metric([channel.value], figures.sending)
            for outcome in OUTCOMES:
                outcomes.add_metric([channel.value, outcome], getattr(figures, outcome))
        yield outcomes
        yield sending
        yield GaugeMetricFamily(
            "deskbell_inbox_offers", "Conversations offered to agents now.", value=self._offers()
        )
        yield GaugeMetricFamily(
            "deskbell_chat_visitors", "Pages with an open chat now.", value=self._visitors()
        )
