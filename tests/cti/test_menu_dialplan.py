"""The dialplan around the phone menus: what the service is asked, and where its word leads.

Every test ends with the caller where they should be; the service may be there, away, or die.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from cti.pbx.asterisk_program import free_port
from cti.pbx.embedded import PbxSettings, PhoneMenusConfig, QueueConfig
from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import CONFIGURATION, SharedPbx, network_of
from tests.cti.pbx.agi_peer import AgiCaller, AgiPeer
from tests.service_fixtures import ami_of

pytestmark = pytest.mark.asterisk

KEY = "k3yOfTheTestsOwn0123"
CALLER = "+8613800138000"


@pytest.fixture(scope="module")
def menu_port() -> int:
    return free_port("127.0.0.1")


@pytest.fixture(scope="module")
def menu_pbx(tmp_path_factory: pytest.TempPathFactory, menu_port: int) -> Iterator[SharedPbx]:
    configuration = replace(
        CONFIGURATION,
        queues=(
            QueueConfig(name="service", number="600"),
            QueueConfig(name="service-zh", number="601"),
        ),
        menus=(),
        phone_menus=PhoneMenusConfig(
            host="127.0.0.1",
            port=menu_port,
            key=KEY,
            numbers=("610", "611"),
            fallback="600",
            longest_seconds=3,
        ),
    )
    shared = SharedPbx(
        PbxSettings(folder=tmp_path_factory.mktemp("pbx"), configuration=configuration)
    )
    yield shared
    shared.close()


@pytest.fixture
async def network(menu_pbx: SharedPbx) -> AsyncIterator[SipNetwork]:
    async with network_of(menu_pbx) as network:
        yield network
    await menu_pbx.clean()


async def says(pbx: SharedPbx, command: str, words: str, within: float = 20.0) -> None:
    """Return when the console's answer has the words in it. Raises TimeoutError."""
    said = ""
    try:
        async with asyncio.timeout(within):
            while words not in said:
                await asyncio.sleep(0.05)
                said = await pbx.console(command)
    except TimeoutError:
        raise TimeoutError(f"{command} does not say {words!r}: {said}") from None


async def waits_in(pbx: SharedPbx, queue: str) -> None:
    """Return when the queue has a caller."""
    await says(pbx, f"queue show {queue}", "1. PJSIP/trunk")


async def redirect(pbx: SharedPbx, channel: str, context: str, exten: str) -> None:
    """Send the caller somewhere else, as a queue's dialplan does."""
    async with ami_of(pbx.embedded) as link:
        await link.action("Redirect", Channel=channel, Context=context, Exten=exten, Priority=1)


async def test_a_menu_s_number_asks_the_service_and_its_word_leads_to_a_queue(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork
) -> None:
    async def talk(caller: AgiCaller) -> None:
        assert (caller.entry, caller.asked) == (
            "menu",
            {"number": "611", "pbx": "main"},
        )
        assert caller.header["agi_arg_1"] == KEY
        await caller.go("queue", DESKBELL_QUEUE="service-zh")

    async with AgiPeer(talk, menu_port):
        await network.call(CALLER, "611")
        await waits_in(menu_pbx, "service-zh")


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("people", {}),
        ("queue", {"DESKBELL_QUEUE": "nowhere"}),
        ("queue", {"DESKBELL_QUEUE": "service),System(id"}),
        ("number", {"DESKBELL_NUMBER": "9+8613900000000"}),
        ("number", {"DESKBELL_NUMBER": ""}),
        ("what,is,that", {}),
        ("", {}),
    ],
)
async def test_a_word_that_leads_nowhere_leads_to_people(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork, word: str, values: dict[str, str]
) -> None:
    async def talk(caller: AgiCaller) -> None:
        await caller.go(word, **values)

    async with AgiPeer(talk, menu_port):
        await network.call(CALLER, "610")
        await waits_in(menu_pbx, "service")


async def test_without_the_service_people_answer(menu_pbx: SharedPbx, network: SipNetwork) -> None:
    await network.call(CALLER, "610")
    await waits_in(menu_pbx, "service")


async def test_a_service_that_dies_in_the_middle_leaves_the_caller_to_people(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork
) -> None:
    talking = asyncio.Event()

    async def talk(caller: AgiCaller) -> None:
        talking.set()
        await caller.command("WAIT FOR DIGIT -1")

    async with AgiPeer(talk, menu_port) as peer:
        await network.call(CALLER, "610")
        await asyncio.wait_for(talking.wait(), 20)
        peer.die()
        await waits_in(menu_pbx, "service")


async def test_a_service_that_hangs_keeps_nobody_for_ever(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork
) -> None:
    async def hang(caller: AgiCaller) -> None:
        await asyncio.Event().wait()

    async with AgiPeer(hang, menu_port):
        await network.call(CALLER, "610")
        await waits_in(menu_pbx, "service")


async def test_a_caller_who_hangs_up_leaves_nothing(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork
) -> None:
    talking, over = asyncio.Event(), asyncio.Event()

    async def talk(caller: AgiCaller) -> None:
        talking.set()
        await caller.command("WAIT FOR DIGIT -1")
        over.set()

    async with AgiPeer(talk, menu_port):
        call = await network.call(CALLER, "610")
        await asyncio.wait_for(talking.wait(), 20)
        await call.hang_up()
        await asyncio.wait_for(over.wait(), 20)
        await says(menu_pbx, "core show channels count", "0 active channels")


@pytest.mark.parametrize(
    ("context", "asks"),
    [
        ("waiting-menu", {"entry": "waiting", "why": "key"}),
        ("overflow-menu", {"entry": "waiting", "why": "overflow"}),
        ("closed", {"entry": "closed", "why": "hours"}),
        ("message", {"entry": "message", "why": "chosen"}),
        ("survey", {"entry": "survey", "why": "answered"}),
    ],
)
async def test_every_entry_says_which_queue_it_is_about(
    menu_pbx: SharedPbx,
    menu_port: int,
    network: SipNetwork,
    context: str,
    asks: dict[str, str],
) -> None:
    async def talk(caller: AgiCaller) -> None:
        if caller.entry == "menu":
            await redirect(menu_pbx, caller.header["agi_channel"], context, "service-zh")
            return
        assert {"entry": caller.entry, **caller.asked} == {
            **asks,
            "queue": "service-zh",
            "pbx": "main",
        }
        await caller.go("queue")

    async with AgiPeer(talk, menu_port):
        await network.call(CALLER, "610")
        # The queue that it is about is where a word without a queue leads to.
        await waits_in(menu_pbx, "service-zh")


@pytest.mark.parametrize(
    ("context", "where"),
    [
        ("waiting-menu", "queue"),
        ("overflow-menu", "box"),
        ("closed", "box"),
        ("message", "box"),
        ("survey", "gone"),
    ],
)
async def test_without_the_service_each_entry_has_its_way_out(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork, context: str, where: str
) -> None:
    talking = asyncio.Event()

    async def talk(caller: AgiCaller) -> None:
        talking.set()
        await caller.command("WAIT FOR DIGIT -1")

    async with AgiPeer(talk, menu_port) as peer:
        call = await network.call(CALLER, "610")
        await asyncio.wait_for(talking.wait(), 20)
        channel = peer.callers[0].header["agi_channel"]
        peer.die()
    await waits_in(menu_pbx, "service")
    await redirect(menu_pbx, channel, context, "service-zh")
    if where == "queue":
        await waits_in(menu_pbx, "service-zh")
    elif where == "gone":
        await call.wait("ended")
    else:
        await says(menu_pbx, "core show channels concise", "VoiceMail!601@deskbell")


async def test_a_fax_s_tone_leads_to_the_receiver(
    menu_pbx: SharedPbx, menu_port: int, network: SipNetwork
) -> None:
    over = asyncio.Event()

    async def talk(caller: AgiCaller) -> None:
        assert caller.entry == "menu"
        await caller.command("WAIT FOR DIGIT -1")
        over.set()

    async with AgiPeer(talk, menu_port):
        await network.call(CALLER, "610", tone=1_100)
        await says(menu_pbx, "core show channels concise", "ReceiveFAX")
        await asyncio.wait_for(over.wait(), 20)
