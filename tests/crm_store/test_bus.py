"""The bus: order, wanted types, and a listener's failure that hurts nobody else."""

from __future__ import annotations

import logging

import pytest

from crm_store.bus import Bus
from crm_store.signals import CallHeld, CallResumed, Signal

pytestmark = pytest.mark.unit

HELD = CallHeld(call="1", endpoint="PJSIP/1001")
RESUMED = CallResumed(call="1", endpoint="PJSIP/1001")


def test_each_listener_hears_what_it_wants_in_order(caplog: pytest.LogCaptureFixture) -> None:
    bus, everything, held = Bus(), list[Signal](), list[Signal]()

    def fails(signal: Signal) -> None:
        raise RuntimeError("a defect")

    bus.listen(fails)
    bus.listen(everything.append)
    bus.listen(held.append, CallHeld)
    with caplog.at_level(logging.ERROR):
        bus.publish(HELD)
        bus.publish(RESUMED)
    assert everything == [HELD, RESUMED]
    assert held == [HELD]
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
