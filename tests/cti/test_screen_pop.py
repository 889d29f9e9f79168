"""Screen pops: cards in time, numbers at once from a slow store, nobody for withheld callers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crm_store.bus import Bus
from crm_store.people.phone_numbers import to_e164
from crm_store.signals import (
    CallAnswered,
    CallEnded,
    CallerIdentified,
    CallerRecognised,
    CallMerged,
    CallOffered,
    CallOfferEnded,
    CallSignal,
    CallStarted,
    CallTransferred,
    Direction,
    ScreenPop,
)
from cti.screen_pop import ScreenPops

pytestmark = pytest.mark.unit

AGENTS = {"PJSIP/1001": "lin", "PJSIP/1002": "maria"}
WANG = {"id": 1, "name": "王芳"}
GARCIA = {"id": 2, "name": "García"}


class Store:
    """A store of one customer that answers when it is let, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures = 0
        self.open = asyncio.Event()
        self.open.set()

    async def look_up(self, number: str) -> tuple[dict[str, Any], ...]:
        self.asked.append(number)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        await self.open.wait()
        return (WANG,) if number == "+8613800138000" else ()

    async def look_up_customer(self, customer_id: int) -> tuple[dict[str, Any], ...]:
        return (GARCIA,) if customer_id == GARCIA["id"] else ()


class Scene:
    def __init__(self, grace: float = 10.0, fresh: float = 10.0) -> None:
        self.bus = Bus()
        self.store = Store()
        self.news: list[ScreenPop | CallerRecognised] = []
        self._changed = asyncio.Event()
        self.pops = ScreenPops(
            self.bus,
            lambda text: to_e164(text, "CN"),
            self.store.look_up,
            lambda endpoint: AGENTS.get(endpoint, ""),
            look_up_customer=self.store.look_up_customer,
            grace_seconds=grace,
            fresh_seconds=fresh,
        )
        self.bus.listen(self.pops.on_signal)
        self.bus.listen(self._hear, ScreenPop, CallerRecognised)

    def _hear(self, signal: Any) -> None:
        self.news.append(signal)
        self._changed.set()

    @property
    def shown(self) -> list[ScreenPop]:
        return [signal for signal in self.news if isinstance(signal, ScreenPop)]

    def tell(self, signal: CallSignal) -> None:
        self.bus.publish(signal)

    async def pop(self, count: int) -> ScreenPop:
        """The pop of that number, the first being 1."""
        async with asyncio.timeout(10):
            while len(self.shown) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.shown[count - 1]

    async def recognised(self, card: dict[str, Any] | None = None) -> None:
        """The store has answered, with this card if one is given."""
        async with asyncio.timeout(10):
            while not any(
                isinstance(signal, CallerRecognised) and (card is None or signal.matches == (card,))
                for signal in self.news
            ):
                self._changed.clear()
                await self._changed.wait()


def started(caller: str, call: str = "1", direction: Direction = Direction.INBOUND) -> CallStarted:
    return CallStarted(pbx="main", call=call, direction=direction, caller=caller, callee="600")


def offered(endpoint: str = "PJSIP/1001", call: str = "1") -> CallOffered:
    return CallOffered(pbx="main", call=call, endpoint=endpoint, queue="sales", caller="")


@pytest.mark.parametrize("caller", ["138 0013 8000", "anonymous"])
async def test_who_was_shown_in_the_menu_counts_before_the_number(caller: str) -> None:
    scene = Scene()
    scene.tell(started(caller))
    scene.tell(CallerIdentified(pbx="main", call="1", customer_id=2, by="card"))
    await scene.recognised(GARCIA)
    scene.tell(offered())
    assert [pop.matches for pop in scene.shown] == [(GARCIA,)]


async def test_the_card_is_in_the_pop_and_asked_for_once() -> None:
    scene = Scene()
    scene.tell(started("138 0013 8000"))
    await scene.recognised()
    scene.tell(offered())
    scene.tell(offered("PJSIP/1002"))
    assert [pop.agent for pop in scene.shown] == ["lin", "maria"]
    assert all(pop.matches == (WANG,) and not pop.looking_up for pop in scene.shown)
    assert scene.store.asked == ["+8613800138000"]


async def test_a_number_that_an_agent_dials_pops_at_once_on_their_own_screen() -> None:
    scene = Scene()
    dialled = CallStarted(
        pbx="main",
        call="1",
        direction=Direction.OUTBOUND,
        caller="1001",
        caller_name="Lin",
        callee="+8613800138000",
        endpoint="PJSIP/1001",
        agent="lin",
    )
    scene.tell(dialled)
    pop = await scene.pop(1)
    assert (pop.agent, pop.caller, pop.caller_name) == ("lin", "+8613800138000", "")
    assert pop.matches == (WANG,)
    answer = CallAnswered(
        pbx="main",
        call="1",
        endpoint="PJSIP/trunk",
        agent="lin",
        caller="1001",
        direction=Direction.OUTBOUND,
    )
    scene.tell(answer)
    assert len(scene.shown) == 1


async def test_a_call_that_was_picked_up_pops_where_no_phone_rang() -> None:
    scene = Scene()
    scene.tell(started("+8613800138000"))
    scene.tell(offered())
    await scene.pop(1)
    scene.tell(CallAnswered(pbx="main", call="1", endpoint="PJSIP/1002", agent="maria", caller=""))
    pop = await scene.pop(2)
    assert (pop.agent, pop.matches) == ("maria", (WANG,))


async def test_an_offer_before_the_store_answered_waits_for_the_card() -> None:
    scene = Scene()
    scene.tell(started("+8613800138000"))
    scene.tell(offered())
    pop = await scene.pop(1)
    assert pop.matches == (WANG,)
    assert len(scene.shown) == 1


async def test_a_slow_store_delays_the_card_but_not_the_pop() -> None:
    scene = Scene(grace=0.0)
    scene.store.open.clear()
    scene.tell(started("+8613800138000"))
    scene.tell(offered())
    first = await scene.pop(1)
    assert (first.number, first.matches, first.looking_up) == ("+8613800138000", (), True)
    scene.store.open.set()
    second = await scene.pop(2)
    assert (second.matches, second.looking_up) == ((WANG,), False)


async def test_a_store_that_fails_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cti.screen_pop.RETRY_SECONDS", 0.0)
    scene = Scene()
    scene.store.failures = 2
    scene.tell(started("+8613800138000"))
    scene.tell(offered())
    assert (await scene.pop(1)).matches == (WANG,)
    assert len(scene.store.asked) == 3


@pytest.mark.parametrize("caller", ["", "anonymous", "1002", "Restricted"])
async def test_who_has_no_number_is_nobody(caller: str) -> None:
    scene = Scene()
    scene.tell(started(caller))
    scene.tell(offered())
    assert (scene.shown[0].number, scene.shown[0].matches) == (None, ())
    assert scene.store.asked == []


async def test_an_outbound_call_shows_who_is_called() -> None:
    scene = Scene()
    scene.tell(
        CallStarted(
            pbx="main",
            call="1",
            direction=Direction.OUTBOUND,
            caller="1001",
            callee="+8613800138000",
        )
    )
    await scene.recognised()
    assert scene.store.asked == ["+8613800138000"]


async def test_an_attended_transfer_takes_the_pop_along() -> None:
    scene = Scene()
    scene.tell(started("+8613800138000"))
    await scene.recognised()
    scene.tell(offered())
    scene.tell(
        CallTransferred(
            pbx="main", call="1", endpoint="PJSIP/1001", target="PJSIP/1002", cause="attended"
        )
    )
    assert [(pop.agent, pop.call, pop.matches) for pop in scene.shown] == [
        ("lin", "1", (WANG,)),
        ("maria", "1", (WANG,)),
    ]


async def test_a_phone_that_stopped_ringing_gets_no_late_pop() -> None:
    scene = Scene()
    scene.store.open.clear()
    scene.tell(started("+8613800138000"))
    scene.tell(offered())
    scene.tell(offered("PJSIP/1002"))
    scene.tell(
        CallOfferEnded(pbx="main", call="1", endpoint="PJSIP/1001", cause="answered_elsewhere")
    )
    scene.store.open.set()
    await scene.pop(1)
    assert [pop.agent for pop in scene.shown] == ["maria"]


@pytest.mark.parametrize(
    "end",
    [
        CallEnded(pbx="main", call="1", cause="", caller="", callee=""),
        CallMerged(pbx="main", call="2", merged="1"),
    ],
)
async def test_nothing_is_kept_of_a_call_that_is_over(end: CallSignal) -> None:
    scene = Scene(grace=0.0)
    scene.store.open.clear()
    scene.tell(started("+8613800138000"))
    scene.tell(offered())
    scene.tell(end)
    scene.store.open.set()
    scene.tell(started("+8613800138000", call="3"))
    scene.tell(offered(call="3"))
    assert (await scene.pop(1)).call == "3"
    await scene.pops.close()


async def test_a_later_offer_looks_again() -> None:
    scene = Scene(fresh=0.0)
    scene.tell(started("+8613800138000"))
    await scene.recognised()
    scene.tell(offered())
    assert (await scene.pop(1)).matches == (WANG,)
    assert len(scene.store.asked) == 2
