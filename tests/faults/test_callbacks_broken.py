"""Callbacks while their Asterisk is killed: no customer is called twice, and none is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_store.database import Database
from crm_store.models import CallbackState
from cti.pbx.embedded import EmbeddedPbx, PbxSettings
from tests.asterisk_fixtures import agent_phone, network_of, pbx_settings
from tests.cti.callbacks.room import QUEUE, room_at
from tests.cti.callbacks.test_callbacks import store
from tests.store_fixtures import sqlite_database, sqlite_template, sqlite_url

__all__ = ["pbx_settings", "sqlite_database", "sqlite_template", "sqlite_url", "store"]

pytestmark = pytest.mark.asterisk


@pytest.mark.parametrize("when", ["the customer rings", "they talk"])
async def test_asterisk_is_killed_in_the_middle_of_a_callback(
    pbx_settings: PbxSettings, store: Database, when: str
) -> None:
    async with (
        EmbeddedPbx(pbx_settings) as own,
        network_of(own) as network,
        room_at(own, store) as room,
    ):
        home = await network.subscriber(answer_after=None)
        lin = await agent_phone(network, own, "1001", answer_after=0.0)
        await room.board.agents.sign_in("lin", [QUEUE])
        callback = await room.asks()
        there = await home.next_call()
        if when == "they talk":
            await home.answer(there)
            await room.becomes(callback, CallbackState.DONE)
        else:
            await room.becomes(callback, CallbackState.ANSWERED)
        await own.kill()
        await room.heard.wait(lambda s: type(s).__name__ == "PbxLinkChanged" and not s.up)
        await room.board.link.wait_up()
        if when == "they talk":
            row = await room.becomes(callback, CallbackState.DONE)
        else:
            row = await room.becomes(callback, CallbackState.WAITING)
            assert row.tries == 1
            assert row.not_before > datetime.now(UTC) + timedelta(minutes=5)
        # Whoever asks afterwards is served, and shows that nothing of the first is on its way.
        assert await room.stand_ins() == []
        assert len(home.calls) == 1
        assert len(lin.calls) == 1
