"""The FastAGI server on a real socket: sessions, limits, and peers that mean harm.

In every hostile test a caller is in the middle of a menu meanwhile, and goes on undisturbed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ivr.agi import session as agi_session
from ivr.agi.server import AgiLimits, AgiServer, Handler
from ivr.agi.session import AgiError, AgiSession, CallerHungUp
from tests.ivr.agi.asterisk_side import KEY, AsteriskSide, header

pytestmark = pytest.mark.unit

Undisturbed = Callable[[], Awaitable[None]]


class Menus:
    """The tests' menus, and what became of their sessions."""

    def __init__(self) -> None:
        self.sessions: list[AgiSession] = []
        self.heard: list[str] = []
        self.outcomes: asyncio.Queue[str] = asyncio.Queue()
        self.handlers: dict[str, Handler] = {
            "menu": self.menu,
            "short": self.short,
            "broken": self.broken,
            "bystander": self.bystander,
        }

    async def menu(self, session: AgiSession) -> None:
        """Reads the variable NEXT for ever."""
        self.sessions.append(session)
        try:
            while True:
                self.heard.append(await session.variable("NEXT"))
        except CallerHungUp:
            self.outcomes.put_nowait("hung up")
            raise
        except AgiError as error:
            self.outcomes.put_nowait(str(error))
            await session.set_variable("DESKBELL_GO", "queue")
        except asyncio.CancelledError:
            self.outcomes.put_nowait("stopped")
            raise

    async def short(self, session: AgiSession) -> None:
        """Says where the caller goes."""
        self.sessions.append(session)
        await session.set_variable("DESKBELL_GO", "hangup")

    async def bystander(self, session: AgiSession) -> None:
        """Asks for what it was told last, until it is enough."""
        told = "0"
        while told != "enough":
            told = await session.variable(told)

    async def broken(self, session: AgiSession) -> None:
        raise RuntimeError("a menu's mistake")


@pytest.fixture
def menus() -> Menus:
    return Menus()


@asynccontextmanager
async def serving(menus: Menus, **limits: float) -> AsyncIterator[AgiServer]:
    server = AgiServer(
        "127.0.0.1",
        0,
        key=KEY,
        peers=["127.0.0.1"],
        handlers=menus.handlers,
        limits=AgiLimits(**limits),  # type: ignore[arg-type]
    )
    await server.start()
    try:
        yield server
    finally:
        await server.close(seconds=0)


@pytest.fixture
async def server(menus: Menus) -> AsyncIterator[AgiServer]:
    async with serving(menus) as server:
        yield server


async def connected(server: AgiServer, **words: str) -> AsteriskSide:
    side = await AsteriskSide.connect(server.port)
    side.say(header(**words))  # type: ignore[arg-type]
    return side


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - counters have no event
        await asyncio.sleep(0)


@asynccontextmanager
async def bystander(server: AgiServer) -> AsyncIterator[Undisturbed]:
    """A caller in the middle of a menu; what is given proves that the menu still answers them."""
    async with await connected(server, entry="bystander") as side:
        last = 0

        async def undisturbed() -> None:
            nonlocal last
            for _ in range(3):
                assert (
                    await side.answer(b"200 result=1 (%d)\n" % (last + 1))
                    == f'GET VARIABLE "{last}"'
                )
                last += 1

        await undisturbed()
        yield undisturbed
        await undisturbed()
        await side.answer(b"200 result=1 (enough)\n")
        assert await side.is_closed()


async def test_asterisk_is_told_what_the_menu_of_its_entry_says(
    server: AgiServer, menus: Menus
) -> None:
    async with await connected(server, entry="short") as side:
        assert await side.answer(b"200 result=1\n") == 'SET VARIABLE "DESKBELL_GO" "hangup"'
        assert await side.is_closed()
    (session,) = menus.sessions
    assert session.entry == "short"
    assert session.parameters == {"number": "610"}
    assert session.channel == "PJSIP/trunk-00000000"
    assert session.header["callerid"] == "+8613800138000"
    assert server.figures.ended == {"done": 1}
    assert server.figures.steps.count == server.figures.commands == 1
    assert server.figures.half_open == server.figures.sessions == 0


async def test_the_key_is_handed_to_nobody(
    server: AgiServer, menus: Menus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with await connected(server, entry="short") as side:
        await side.answer(b"200 result=1\n")
    async with await connected(server, entry="broken") as side:
        assert await side.is_closed()
    async with await connected(server, entry="nothing") as side:
        assert await side.is_closed()
    (session,) = menus.sessions
    assert KEY not in str({**session.header, **session.parameters})
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        "",
        "agi_arg_1: \n",
        "agi_arg_1: wrong\n",
        f"agi_arg_1: {KEY[:-1]}\n",
        f"agi_arg_1: {KEY}x\n",
        f"agi_arg_1: wrong\nagi_arg_1: {KEY}\n",
        f"agi_arg_2: {KEY}\n",
        f"agi_ARG_1: {KEY}\n",
        "agi_arg_1: %ff%00ключ\n",
        f"agi_callerid: 1\n\nagi_arg_1: {KEY}\n",
    ],
)
async def test_without_the_key_nothing_is_served(server: AgiServer, said: str) -> None:
    async with bystander(server) as undisturbed, await AsteriskSide.connect(server.port) as side:
        side.say(f"agi_network_script: menu?key={KEY}\n{said}\n".encode())
        assert await side.is_closed()
        assert server.figures.refused == {"key": 1}
        await undisturbed()


@pytest.mark.parametrize("entry", ["other", "menu/../trial", "MENU", "menu%00"])
async def test_there_are_no_other_entries(server: AgiServer, entry: str) -> None:
    async with bystander(server), await connected(server, entry=entry) as side:
        assert await side.is_closed()
    assert server.figures.refused == {"entry": 1}


async def test_who_comes_from_another_address_is_not_even_heard(server: AgiServer) -> None:
    async with bystander(server) as undisturbed:
        async with await AsteriskSide.connect(server.port, local="127.0.0.3") as side:
            assert await side.is_closed()
        assert server.figures.refused == {"address": 1}
        await undisturbed()


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.255.7", True),
        ("10.2.0.1", False),
        ("127.0.0.2", False),
        ("fd00::7%eth0", True),
        ("fd01::7", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_peers_are_addresses_and_networks(address: str, may: bool) -> None:
    peers = ["127.0.0.1", "10.1.0.0/16", "fd00::/64"]
    server = AgiServer("127.0.0.1", 0, key=KEY, peers=peers, handlers={})
    assert server.may_connect(address) is may


def test_a_server_without_a_key_or_with_a_peer_that_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        AgiServer("127.0.0.1", 0, key="", peers=["127.0.0.1"], handlers={})
    with pytest.raises(ValueError, match="pbx"):
        AgiServer("127.0.0.1", 0, key=KEY, peers=["pbx.example"], handlers={})


@pytest.mark.parametrize(
    "data", [b"", b"a", header()[:40], header()[:-1], b"agi_network: yes\n" * 50]
)
async def test_who_connects_and_closes_leaves_nothing(server: AgiServer, data: bytes) -> None:
    async with bystander(server) as undisturbed:
        for _ in range(20):
            async with await AsteriskSide.connect(server.port) as side:
                side.say(data)
        await undisturbed()
        await until(lambda: not server.figures.half_open)
        assert server.figures.accepted == 1


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"agi_x: 1\n", b"agi_", b"agi_x: " + b"y" * 1000],
)
async def test_an_endless_header_and_other_protocols_are_cut_off(
    server: AgiServer, data: bytes
) -> None:
    async with bystander(server) as undisturbed, await AsteriskSide.connect(server.port) as side:
        closed = asyncio.ensure_future(side.is_closed())
        for _ in range(1_000_000):
            side.say(data)
            await asyncio.sleep(0)
            if closed.done():
                break
        assert await closed
        assert server.figures.refused == {"broken": 1}
        await undisturbed()


async def test_who_does_not_say_who_they_are_is_cut_off_in_time(menus: Menus) -> None:
    async with serving(menus, header_seconds=0.3) as server, bystander(server):
        for data in (b"", header()[:-1]):
            async with await AsteriskSide.connect(server.port) as side:
                side.say(data)
                assert await side.is_closed()
        assert server.figures.refused == {"header": 2}


async def test_a_thousand_idle_connections_push_out_each_other(menus: Menus) -> None:
    async with serving(menus, half_open=40) as server, bystander(server) as undisturbed:
        idle = []
        for _ in range(1_000):
            idle.append(await AsteriskSide.connect(server.port))
            if len(idle) > 100:
                assert await idle[-100].is_closed()
                await idle[-100].close()
        await undisturbed()
        async with await connected(server, entry="short") as side:
            assert await side.answer(b"200 result=1\n")
        assert server.figures.half_open <= 40
        assert server.figures.refused["crowded"] >= 960
        for side in idle:
            await side.close()


async def test_more_sessions_than_allowed_go_to_people(menus: Menus) -> None:
    async with serving(menus, sessions=2) as server, bystander(server) as undisturbed:
        async with await connected(server) as first:
            await first.asked()
            async with await connected(server) as second:
                assert await second.is_closed()
            assert server.figures.refused == {"full": 1}
            await undisturbed()
        await until(lambda: server.figures.sessions < 2)
        async with await connected(server) as third:
            assert await third.asked()


async def test_a_session_that_lasts_too_long_ends(menus: Menus) -> None:
    async with serving(menus, session_seconds=0.05) as server:
        async with await connected(server) as side:
            await side.asked()
            assert await side.is_closed()
        assert server.figures.ended == {"too_long": 1}


@pytest.mark.parametrize(
    "name", [b"Jos\xe9", b"\xff\xfe", b"a\x00b\x07", "王芳".encode(), b"x\r", b'"; agi_key: 1', b""]
)
async def test_a_name_in_any_encoding_is_only_a_name(
    server: AgiServer, menus: Menus, name: bytes
) -> None:
    async with bystander(server), await AsteriskSide.connect(server.port) as side:
        side.say(header(entry="short", name=name))
        assert await side.answer(b"200 result=1\n") == 'SET VARIABLE "DESKBELL_GO" "hangup"'
        assert await side.is_closed()
    assert server.figures.ended["done"] == 2


async def test_a_name_with_line_ends_changes_nothing(server: AgiServer, menus: Menus) -> None:
    async with await AsteriskSide.connect(server.port) as side:
        side.say(header(name=b"x\nagi_network_script: trial\nagi_arg_1x: y"))
        await side.answer(b"200 result=1 (right)\n")
        await side.asked()
    assert menus.heard == ["right"]
    assert menus.sessions[0].entry == "menu"


@pytest.mark.parametrize(
    "name", [b"x\n\n200 result=1 (forged)", b"x\nagi_arg_1: y", b"x\n\nHANGUP", b"x\r\n\r\n"]
)
async def test_a_name_that_ends_the_header_leaves_the_caller_to_people(
    server: AgiServer, menus: Menus, name: bytes
) -> None:
    async with await AsteriskSide.connect(server.port) as side:
        side.say(header(name=name))
        assert await side.is_closed()
    assert not menus.sessions
    assert server.figures.refused == {"key": 1}


BEFORE = b"200 result=1 (before)\n"


@pytest.mark.parametrize(
    ("parts", "heard"),
    [
        ([b"HANGUP\n"], []),
        ([b"HANGUP\n200 result=1 (last)\n"], ["last"]),
        ([b"HANGUP200 result=1 (last)\n"], ["last"]),
        ([BEFORE + b"HANGUP\n"], ["before"]),
        ([BEFORE, b"HANGUP\n", b"200 result=-1\n"], ["before"]),
        ([BEFORE, b"HANGUP\n511 Command Not Permitted on a dead channel\n"], ["before"]),
        ([b"511 Command Not Permitted on a dead channel\n"], []),
        ([BEFORE, b""], ["before"]),
        ([BEFORE, b"200 resu"], ["before"]),
        ([BEFORE, b"520-Invalid\nHANGUP\n"], ["before"]),
    ],
)
async def test_a_hang_up_in_any_place_is_told_once(
    server: AgiServer,
    menus: Menus,
    parts: list[bytes],
    heard: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agi_session, "AFTER_HANG_UP", 0.01)
    async with bystander(server) as undisturbed, await connected(server) as side:
        for part in parts:
            await side.asked()
            side.say(part)
            if not part or part.endswith(b"resu"):
                side.says_no_more()
        assert await menus.outcomes.get() == "hung up"
        assert await side.is_closed()
        await undisturbed()
        assert menus.heard == heard
        assert menus.outcomes.empty()
        assert server.figures.ended == {"hung_up": 1}


async def test_after_a_hang_up_nothing_more_is_sent(server: AgiServer, menus: Menus) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()

    async def insists(session: AgiSession) -> None:
        for _ in range(3):
            with pytest.raises(CallerHungUp):
                await session.variable("NEXT")
        told.put_nowait("three times")

    menus.handlers["menu"] = insists
    async with await connected(server) as side:
        await side.answer(b"HANGUP\n511 Command Not Permitted on a dead channel\n")
        assert await told.get() == "three times"
        assert await side.is_closed()


@pytest.mark.parametrize(
    "answer",
    [
        b"520-Invalid command syntax.  Proper usage follows:\n 200 result=1 (no)\n520 End.\n",
        b"520 Invalid command syntax.  Proper usage not available.\n",
        b"510 Invalid or unknown command\n",
        b"200 result=-1\n",
        b"503 result=-2 Memory allocation failure\n",
    ],
)
async def test_an_error_is_told_and_the_dialogue_goes_on(
    server: AgiServer, menus: Menus, answer: bytes
) -> None:
    async with bystander(server), await connected(server) as side:
        await side.answer(answer)
        assert await menus.outcomes.get() == f"GET VARIABLE: {answer[:3].decode()}"
        assert await side.answer(b"200 result=1\n") == 'SET VARIABLE "DESKBELL_GO" "queue"'
        assert await side.is_closed()
    assert server.figures.ended == {"done": 2}


async def test_what_nobody_has_asked_for_is_no_answer(server: AgiServer, menus: Menus) -> None:
    async with bystander(server), await AsteriskSide.connect(server.port) as side:
        side.say(header() + b"200 result=1 (early)\nrubbish\n\x00\xff\n")
        await side.answer(b"what?\n200 result=1 (one)\n200 result=1 (too many)\n")
        await side.answer(b"200 result=1 (two)\n")
        await side.asked()
        assert menus.heard == ["one", "two"]


async def test_a_flood_of_rubbish_ends_its_session_only(server: AgiServer, menus: Menus) -> None:
    async with bystander(server) as undisturbed, await connected(server) as side:
        await side.asked()
        for _ in range(100):
            side.say(b"rubbish\n" * 1_000)
        assert await menus.outcomes.get() == "hung up"
        assert await side.is_closed()
        await undisturbed()


async def test_a_cancelled_command_s_answer_is_not_the_next_one_s(
    server: AgiServer, menus: Menus
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def impatient(session: AgiSession) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await session.variable("FIRST")
        heard.put_nowait("cancelled")
        heard.put_nowait(await session.variable("SECOND"))

    menus.handlers["menu"] = impatient
    async with await connected(server) as side:
        assert await side.asked() == 'GET VARIABLE "FIRST"'
        assert await heard.get() == "cancelled"
        side.say(b"200 result=1 (first)\n")
        assert await side.answer(b"200 result=1 (second)\n") == 'GET VARIABLE "SECOND"'
        assert await heard.get() == "second"


async def test_an_asterisk_that_answers_no_more_ends_the_session(
    server: AgiServer, menus: Menus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agi_session, "QUICK_SECONDS", 0.05)
    async with await connected(server) as side:
        await side.asked()
        assert await menus.outcomes.get() == "hung up"
        assert await side.is_closed()


async def test_a_menu_that_fails_ends_only_its_own_session(
    server: AgiServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with bystander(server) as undisturbed:
        async with await connected(server, entry="broken") as side:
            assert await side.is_closed()
        await undisturbed()
    assert server.figures.ended == {"failed": 1, "done": 1}
    assert "the phone menu broken failed" in caplog.text
    assert "a menu's mistake" in caplog.text


async def test_closing_lets_a_session_come_to_its_end(server: AgiServer, menus: Menus) -> None:
    async with await connected(server, entry="short") as side:
        await side.asked()
        closing = asyncio.ensure_future(server.close(seconds=60))
        await asyncio.sleep(0)
        side.say(b"200 result=1\n")
        assert await side.is_closed()
        await closing
    assert server.figures.ended == {"done": 1}


async def test_closing_ends_what_does_not_end_by_itself(server: AgiServer, menus: Menus) -> None:
    async with await connected(server) as side, await AsteriskSide.connect(server.port) as silent:
        await side.asked()
        await server.close(seconds=0)
        assert await menus.outcomes.get() == "stopped"
        assert await side.is_closed()
        assert await silent.is_closed()
    assert server.figures.ended == {"stopped": 1}
    with pytest.raises(OSError, match=r".*"):
        await AsteriskSide.connect(server.port)


async def test_a_flood_of_refusals_does_not_flood_the_log(
    server: AgiServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        async with await connected(server, key="wrong") as side:
            assert await side.is_closed()
    assert server.figures.refused == {"key": 50}
    assert caplog.text.count("was refused") == 1
