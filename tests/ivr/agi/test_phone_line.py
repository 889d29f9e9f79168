"""A caller's line through a real Asterisk: sounds, keys, recordings and hang-ups by SIP and RTP."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cti.pbx.asterisk_program import free_port
from ivr.agi.session import AgiError, CallerHungUp
from ivr.conversation import phone_line
from ivr.conversation.line import (
    ALL_KEYS,
    HangUp,
    RecordedSound,
    ToFax,
    ToMessage,
    ToNumber,
    ToQueue,
)
from ivr.conversation.phone_line import PhoneLine, SoundMissing
from tests.asterisk_fixtures import SharedPbx, network_of
from tests.ivr.agi.phone_stage import Stage, settings, tone, until
from tests.service_fixtures import ami_of

pytestmark = pytest.mark.asterisk


@pytest.fixture(scope="module")
def menu_port() -> int:
    return free_port("127.0.0.1")


@pytest.fixture(scope="module")
def menu_pbx(tmp_path_factory: pytest.TempPathFactory, menu_port: int) -> Iterator[SharedPbx]:
    shared = SharedPbx(settings(tmp_path_factory.mktemp("pbx"), menu_port))
    yield shared
    shared.close()


@pytest.fixture
async def stage(menu_pbx: SharedPbx, menu_port: int, tmp_path: Path) -> AsyncIterator[Stage]:
    async with network_of(menu_pbx) as network:
        stage = Stage(menu_pbx, network, menu_port, tmp_path)
        await stage.server.start()
        yield stage
        await stage.server.close(seconds=5)
    await menu_pbx.clean()


async def says(pbx: SharedPbx, command: str, words: str) -> str:
    """What the console answers, once the words are in it."""
    said = await pbx.console(command)
    while words not in said:
        await asyncio.sleep(0.05)
        said = await pbx.console(command)
    return said


async def hung_up(stage: Stage) -> None:
    """The talk was told that the caller is gone, and nothing is left of the call."""
    assert isinstance(await stage.raised.get(), CallerHungUp)
    await says(stage.pbx, "core show channels count", "0 active channels")
    await until(lambda: not stage.server.figures.sessions)
    assert stage.server.figures.ended == {"hung_up": 1}
    assert stage.raised.empty()


async def test_sounds_are_heard_one_after_the_other(stage: Stage) -> None:
    said: list[str] = []

    async def talk(line: PhoneLine) -> None:
        said.append(await line.play([tone(700, 1.5), tone(900, 1.5), tone(1100, 1.5)], ALL_KEYS))

    call = await stage.call(talk)
    for frequency in (700, 900, 1100):
        await call.hears(frequency)
    assert await stage.raised.get() is None
    assert said == [""]


async def test_a_key_stops_all_that_was_to_be_said(stage: Stage) -> None:
    said: list[str] = []

    async def talk(line: PhoneLine) -> None:
        said.append(await line.play([tone(700, 60), tone(900, 60)], "5"))
        await line.play([tone(1100, 60)], "")

    call = await stage.call(talk)
    await call.hears(700)
    await call.press("145")
    await call.hears(1100)
    assert said == ["5"]
    await call.hang_up()
    await hung_up(stage)


async def test_nothing_stops_what_must_be_heard(stage: Stage) -> None:
    said: list[str] = []

    async def talk(line: PhoneLine) -> None:
        said.append(await line.play([tone(700, 2)], ""))
        said.append(await line.key(30))

    call = await stage.call(talk)
    await call.hears(700)
    await call.press("1")
    await until(lambda: bool(said))
    await call.press("2")
    assert await stage.raised.get() is None
    assert said == ["", "2"]


@pytest.mark.parametrize("thinking", [0.0, 0.05, 0.15, 0.6])
async def test_whoever_knows_the_way_keys_it_at_once(stage: Stage, thinking: float) -> None:
    """Keys come every quarter of a second, whatever the menu does meanwhile: none is lost."""
    way = "132570489*#61"
    keyed: list[str] = []
    begins = asyncio.Event()

    async def talk(line: PhoneLine) -> None:
        await line.play([tone(700, 0.1)], "")
        begins.set()
        while len(keyed) < len(way):
            key = await line.play([tone(900, 0.1), tone(1100, 0.1)], ALL_KEYS)
            keyed.append(key or await line.key(30))
            await asyncio.sleep(thinking)

    call = await stage.call(talk)
    await begins.wait()
    await call.press(way)
    assert await stage.raised.get() is None
    assert "".join(keyed) == way


async def test_a_key_is_waited_for_as_long_as_was_said(stage: Stage) -> None:
    keyed: list[str] = []

    async def talk(line: PhoneLine) -> None:
        keyed.append(await line.key(0.2))
        await line.play([tone(700, 60)], "1")
        keyed.append(await line.key(30))

    call = await stage.call(talk)
    await call.hears(700)
    await call.press("1,#")
    assert await stage.raised.get() is None
    assert keyed == ["", "#"]


async def test_what_a_caller_says_is_kept(stage: Stage) -> None:
    sounds: list[RecordedSound | None] = []

    async def talk(line: PhoneLine) -> None:
        sounds.append(await line.record("first", longest_seconds=30, end_keys="#"))
        await line.play([tone(700, 60)], "")

    call = await stage.call(talk)
    await call.press(",,#")
    await call.hears(700)
    (sound,) = sounds
    assert sound is not None
    assert sound.file == stage.folder / "first.wav"
    assert not sound.hung_up
    with wave.open(str(sound.file)) as file:
        assert file.getnframes() / file.getframerate() == sound.seconds >= 1
    await call.hang_up()
    await hung_up(stage)


async def test_who_says_nothing_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_line, "RECORDED_SILENCE", 1)
    sounds: list[RecordedSound | None] = []

    async def talk(line: PhoneLine) -> None:
        sounds.append(await line.record("silence", longest_seconds=30, end_keys="#"))

    # A tone of half the sampling rate is silence in every sample.
    await stage.call(talk, frequency=4_000)
    assert await stage.raised.get() is None
    assert sounds == [None]
    assert not list(stage.folder.glob("silence*"))


async def test_a_recording_ends_at_its_longest(stage: Stage) -> None:
    sounds: list[RecordedSound | None] = []

    async def talk(line: PhoneLine) -> None:
        sounds.append(await line.record("long", longest_seconds=2, end_keys="#"))

    await stage.call(talk)
    assert await stage.raised.get() is None
    (sound,) = sounds
    assert sound is not None
    assert 1 <= sound.seconds <= 3


async def test_who_hangs_up_after_speaking_has_been_heard(stage: Stage) -> None:
    sounds: list[RecordedSound | None] = []

    async def talk(line: PhoneLine) -> None:
        sounds.append(await line.record("last", longest_seconds=30, end_keys="#"))
        await line.play([tone(700, 1)], "")

    call = await stage.call(talk)
    file = stage.folder / "last.wav"
    await until(lambda: file.exists() and file.stat().st_size > 30_000)
    await call.hang_up()
    await hung_up(stage)
    (sound,) = sounds
    assert sound is not None
    assert sound.hung_up
    assert sound.seconds >= 1


async def test_a_hang_up_is_told_wherever_the_talk_is(stage: Stage) -> None:
    """While something plays, while a key or a recording is waited for, and while we think."""
    here = asyncio.Event()

    async def playing(line: PhoneLine) -> None:
        here.set()
        await line.play([tone(700, 60)], "")

    async def asking(line: PhoneLine) -> None:
        here.set()
        await line.key(60)

    async def recording(line: PhoneLine) -> None:
        here.set()
        await line.record("cut", longest_seconds=60, end_keys="#")

    async def thinking(line: PhoneLine) -> None:
        await line.play([tone(900, 0.1)], "")
        here.set()
        await until(lambda: stage.sessions[-1].hung_up)
        await line.play([tone(700, 60)], "")

    for count, talk in enumerate((playing, asking, recording, thinking), 1):
        here.clear()
        call = await stage.call(talk, frequency=0)
        await call.wait("answered")
        await here.wait()
        await call.hang_up()
        assert isinstance(await stage.raised.get(), CallerHungUp), talk.__name__
        await says(stage.pbx, "core show channels count", "0 active channels")
        await until(lambda: not stage.server.figures.sessions)
        assert stage.server.figures.ended == {"hung_up": count}
    assert not list(stage.folder.glob("cut*"))


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        (ToQueue("service-zh", 2_000_000_123), "QUEUE_PRIO=2000000123"),
        (ToMessage("service-zh"), "DESKBELL_QUEUE=service-zh"),
        (ToNumber("699"), "DESKBELL_NUMBER=699"),
        (ToFax(), "DESKBELL_GO=fax"),
        (HangUp(), "DESKBELL_GO=hangup"),
    ],
)
async def test_where_the_call_goes_on_is_the_channel_s(
    stage: Stage, to: ToQueue | ToMessage | ToNumber | ToFax | HangUp, shown: str
) -> None:
    left = asyncio.Event()
    checked = asyncio.Event()

    async def talk(line: PhoneLine) -> None:
        await line.play([tone(700, 0.1)], "")
        await line.leave(to, "zh")
        left.set()
        await checked.wait()
        with pytest.raises(RuntimeError):
            await line.key(1)

    await stage.call(talk)
    await left.wait()
    channel = stage.sessions[0].channel
    said = await stage.pbx.console(f"core show channel {channel}")
    assert shown in said
    assert "Language: zh" in said
    checked.set()
    assert await stage.raised.get() is None
    assert stage.server.figures.ended["done"] >= 1


async def test_a_caller_is_led_to_their_queue(stage: Stage) -> None:
    async def talk(line: PhoneLine) -> None:
        await line.leave(ToQueue("service-zh", 2_000_000_123), "zh")

    await stage.call(talk)
    said = await says(stage.pbx, "queue show service-zh", "1. PJSIP/trunk")
    assert "prio: 2000000123" in said


async def test_when_a_sound_is_missing_people_take_over(stage: Stage) -> None:
    async def talk(line: PhoneLine) -> None:
        await line.play([tone(0, 1)], "")

    await stage.call(talk)
    assert isinstance(await stage.raised.get(), SoundMissing)
    await says(stage.pbx, "queue show service", "1. PJSIP/trunk")


async def test_when_the_server_ends_in_the_middle_people_take_over(stage: Stage) -> None:
    async def talk(line: PhoneLine) -> None:
        await line.play([tone(700, 60)], "")

    call = await stage.call(talk)
    await call.hears(700)
    await stage.server.close(seconds=0)
    await says(stage.pbx, "queue show service", "1. PJSIP/trunk")
    assert isinstance(await stage.raised.get(), asyncio.CancelledError)


@pytest.mark.parametrize("name", ["José", "Jos\udce9", '";\\', "王芳", "${EXTEN}"])
async def test_any_name_is_only_a_name(stage: Stage, name: str) -> None:
    async def talk(line: PhoneLine) -> None:
        await line.play([tone(700, 0.1)], "")
        session = stage.sessions[-1]
        await session.set_variable("NAME", session.header["calleridname"])
        assert await session.variable("NAME") == session.header["calleridname"]

    await stage.call(talk, name=name)
    assert await stage.raised.get() is None
    if name in ("José", "王芳", "${EXTEN}"):  # the rest Asterisk has mended or escaped
        assert stage.sessions[-1].header["calleridname"] == name


async def test_what_asterisk_refuses_is_told_and_the_talk_goes_on(stage: Stage) -> None:
    async def talk(line: PhoneLine) -> None:
        session = stage.sessions[-1]
        for verb, arguments, code in (("WAIT FOR DIGIT", (), 520), ("NONSENSE", (), 510)):
            with pytest.raises(AgiError) as refused:
                await session.ask(verb, *arguments)
            assert refused.value.answer.code == code
        with pytest.raises(AgiError):
            await session.execute("NoSuchApplication")
        assert (await session.execute("NoOp", "a")).result == "0"
        assert await session.variable("NOTHING") == ""
        await session.hang_up()
        with pytest.raises(CallerHungUp):
            await line.play([tone(700, 60)], "")

    await stage.call(talk)
    assert await stage.raised.get() is None


async def test_a_caller_who_was_led_elsewhere_is_gone_from_us(stage: Stage) -> None:
    async def talk(line: PhoneLine) -> None:
        await line.play([tone(700, 60)], "")

    call = await stage.call(talk)
    await call.hears(700)
    async with ami_of(stage.pbx.embedded) as link:
        channel = stage.sessions[0].channel
        await link.action(
            "Redirect", Channel=channel, Context="from-trunk", Exten="601", Priority=1
        )
    assert isinstance(await stage.raised.get(), CallerHungUp)
    await says(stage.pbx, "queue show service-zh", "1. PJSIP/trunk")


async def test_an_asterisk_that_keeps_the_session_after_a_hang_up(stage: Stage) -> None:
    """As a dialplan without AGIEXITONHANGUP does: HANGUP comes, and commands get 511."""
    port, key = stage.server.port, "k3yOfTheTestsOwn0123"
    for step in ("1,Answer,", f'2,AGI,"agi://127.0.0.1:{port}/menu,{key}"'):
        await stage.pbx.console(f"dialplan add extension 777,{step} into from-trunk")
    raised: list[bool] = []

    async def talk(line: PhoneLine) -> None:
        try:
            await line.play([tone(700, 60)], "")
        except CallerHungUp:
            raised.append(stage.sessions[-1].hung_up)
            raise

    stage.talk = talk
    call = await stage.network.call("+8613800138000", "777")
    await call.hears(700)
    await call.hang_up()
    await hung_up(stage)
    assert raised == [True]
