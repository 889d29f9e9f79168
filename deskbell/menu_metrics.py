"""The phone menus' numbers for operators, read at the moment of asking.

Owns their names; counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ivr.agi.figures import AgiFigures
from ivr.speech.sound_files import SoundFiles


class MenuMetrics(Collector):
    def __init__(self, figures: AgiFigures, sounds: SoundFiles) -> None:
        self._figures = figures
        self._sounds = sounds

    def collect(self) -> Iterator[Metric]:
        figures, progress = self._figures, self._sounds.progress
        for name, meaning, value in (
            ("deskbell_menu_callers", "Callers in the phone menus now.", figures.sessions),
            ("deskbell_menu_prompts", "Sounds of prompts that are wanted.", progress.total),
            (
                "deskbell_menu_prompts_ready",
                "Sounds of prompts that are there.",
                progress.done - progress.failed,
            ),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        yield CounterMetricFamily(
            "deskbell_menu_commands", "What Asterisk was told to do.", value=figures.commands
        )
        for name, meaning, label, counted in (
            ("deskbell_menu_visits", "Conversations, by how they ended.", "outcome", figures.ended),
            (
                "deskbell_menu_refused",
                "Connections that were not served, by the reason.",
                "reason",
                figures.refused,
            ),
        ):
            family = CounterMetricFamily(name, meaning, labels=[label])
            for word, value in sorted(counted.items()):
                family.add_metric([word], value)
            yield family
        yield self._steps()

    def _steps(self) -> Metric:
        steps = self._figures.steps
        buckets, so_far = [], 0
        for bound, count in zip(steps.bounds, steps.counts, strict=False):
            so_far += count
            buckets.append((str(bound), float(so_far)))
        buckets.append(("+Inf", float(steps.count)))
        return HistogramMetricFamily(
            "deskbell_menu_step_seconds",
            "From Asterisk's answer to our next command.",
            buckets=buckets,
            sum_value=steps.total,
        )
