"""A queue of a real Asterisk with a store, and somebody who sees to its callbacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update

from crm_store.bus import Bus
from crm_store.contacts import callbacks as rows
from crm_store.contacts import tasks
from crm_store.contacts.callbacks import CallbackRecord, NewCallback
from crm_store.database import Database
from crm_store.models import Callback, CallbackState, RecordingPolicy
from crm_store.people import customers
from crm_store.people.phone_numbers import to_e164
from crm_store.signals import PbxLinkChanged
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord
from cti.agents.seats import AgentSeat, WrapUpLimit
from cti.callbacks.callbacks import Callbacks
from cti.calls.recorder import Recorder
from cti.screen_pop import ScreenPops
from cti.switchboard import AmiAddress, Switchboard
from tests.cti.test_switchboard import Heard

QUEUE, NUMBER = "service", "600"
CUSTOMER = "+34911234567"
SEATS = [AgentSeat("lin", "PJSIP/1001", {}), AgentSeat("fang", "PJSIP/1002", {})]

Condition = Callable[[], Awaitable[bool]]


async def eventually(condition: Condition, what: str, within: float = 20.0) -> None:
    """Return when the condition holds. Raises TimeoutError with what was waited for."""
    try:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110 - a state of others, without an event
                await asyncio.sleep(0.03)
    except TimeoutError:
        raise TimeoutError(f"not within {within:g} s: {what}") from None


def e164(text: str) -> str | None:
    return to_e164(text, "CN")


async def fill(database: Database) -> None:
    """The queue, its two agents."""
    async with database.transaction() as transaction:
        await queues.save(transaction, QueueRecord(QUEUE, NUMBER, {"en": "Service"}))
        for login in ("lin", "fang"):
            await agents.save(transaction, login=login, display_name=login)


@dataclass
class Room:
    """Deskbell's part; leave it and enter another, and Deskbell was started again."""

    board: Switchboard
    heard: Heard
    callbacks: Callbacks
    database: Database

    async def asks(self, number: str = CUSTOMER, **more: Any) -> int:
        """A customer asks to be called back, as the menu writes it; the callback's id."""
        new = NewCallback(
            **{"queue": QUEUE, "number": number, "arrived_at": datetime.now(UTC), **more}
        )
        async with self.database.transaction() as transaction:
            callback = await rows.request(transaction, new)
        self.callbacks.look()
        return callback

    async def row(self, callback: int) -> CallbackRecord:
        found = await rows.find(self.database, callback)
        assert found is not None
        return found

    async def becomes(self, callback: int, state: CallbackState) -> CallbackRecord:
        async def is_so() -> bool:
            return (await self.row(callback)).state is state

        await eventually(is_so, f"callback {callback} is {state}")
        return await self.row(callback)

    async def stand_ins(self) -> list[str]:
        """Those that Asterisk itself lists, each once."""
        listed = await self.board.link.list_action("CoreShowChannels")
        names = {row["Channel"].rpartition(";")[0] for row in listed}
        return sorted(name for name in names if "@callback-place" in name)

    async def line(self) -> list[str]:
        """The numbers of those who wait in the queue, as Asterisk itself lists them."""
        listed = await self.board.link.list_action("QueueStatus", Queue=QUEUE)
        entries = [row for row in listed if row["Event"] == "QueueEntry"]
        return [row["CallerIDNum"] for row in sorted(entries, key=lambda r: int(r["Position"]))]

    async def waits(self, *numbers: str) -> None:
        """Return when exactly these wait, in this order."""

        async def is_so() -> bool:
            return await self.line() == list(numbers)

        await eventually(is_so, f"{numbers} wait")

    async def place_of(self, number: str) -> int:
        """The place that Asterisk has for who waits with that number."""
        listed = await self.board.link.list_action("QueueStatus", Queue=QUEUE)
        return next(int(row["Priority"]) for row in listed if row.get("CallerIDNum") == number)

    async def try_now(self, callback: int) -> None:
        """The pause before the next try is over."""
        async with self.database.transaction() as transaction:
            await transaction.session.execute(
                update(Callback).where(Callback.id == callback).values(not_before=datetime.now(UTC))
            )
        self.callbacks.look()

    async def task_of(self, callback: int) -> tasks.TaskLine:
        found = await tasks.find(self.database, (await self.row(callback)).task_id)
        assert found is not None
        return found


@asynccontextmanager
async def room_at(pbx: Any, database: Database) -> AsyncIterator[Room]:
    """Deskbell with that PBX and that store."""
    bus = Bus()
    heard = Heard(bus)
    board = Switchboard(
        "main",
        AmiAddress(host=pbx.ami_host, port=pbx.ami_port, user=pbx.ami_user, secret=pbx.ami_secret),
        bus,
        trunks=("PJSIP/trunk",),
        wrap_up={QUEUE: WrapUpLimit(0)},
        default_wrap_up=WrapUpLimit(0),
    )
    board.seat(SEATS)
    callbacks = Callbacks(
        board, bus, database, to_number=e164, calls_from=lambda queue: NUMBER, look_seconds=0.3
    )

    async def look_up(number: str) -> tuple[dict[str, Any], ...]:
        found = await customers.find_by_phone(database, number)
        return tuple(card.as_dict() for card in found)

    async def look_up_customer(customer_id: int) -> tuple[dict[str, Any], ...]:
        card = await customers.card(database, customer_id)
        return (card.as_dict(),) if card is not None else ()

    pops = ScreenPops(
        bus,
        e164,
        look_up,
        lambda endpoint: {seat.endpoint: seat.login for seat in SEATS}.get(endpoint, ""),
        look_up_customer=look_up_customer,
        callback_of=callbacks.record,
    )
    bus.listen(pops.on_signal)
    recorder = Recorder(board, bus, database, {QUEUE: RecordingPolicy.ALWAYS})
    await board.start()
    await callbacks.start()
    try:
        await heard.wait(lambda s: isinstance(s, PbxLinkChanged) and s.up)
        yield Room(board, heard, callbacks, database)
    finally:
        await callbacks.close()
        await recorder.close()
        await pops.close()
        await board.close()


async def the_next_second() -> None:
    """Places count whole seconds: whoever comes after this came later."""
    now = int(time.time())

    async def is_over() -> bool:
        return int(time.time()) > now

    await eventually(is_over, "the second is over")
