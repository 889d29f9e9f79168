"""Entries of the dialplan over the real FastAGI server: where a call goes on, what is told of it
while it lasts, and what is kept of it, also after a hang-up."""

from __future__ import annotations

import asyncio
import re
import shutil
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from crm_store.bus import Bus
from crm_store.contacts import callbacks, queue_places, surveys
from crm_store.database import Database
from crm_store.phone_menus import menu_visits, menus
from crm_store.phone_menus.menu_visits import MenuVisit
from crm_store.sample.mall import WELL_KNOWN_NUMBER
from crm_store.signals import CallerIdentified, MenuEntered, MenuLeft, MenuStep, Signal
from ivr.agi.server import AgiServer
from ivr.answering import PhoneMenus
from ivr.menus import tree as trees
from ivr.speech.engines import Engine, Speech
from ivr.speech.sound_files import SoundFiles
from tests.ivr.agi.asterisk_side import KEY, AsteriskSide
from tests.ivr.menus.conftest import mall_template
from tests.ivr.menus.stage import MAIN, NOON, STRANGER
from tests.store_fixtures import sqlite_template

__all__ = ["mall_template", "sqlite_template"]

pytestmark = pytest.mark.db


class Hum:
    """An engine that hums: what is said is known from the signals."""

    def voice(self, language: str) -> str | None:
        return f"hum {language}"

    async def speak(self, text: str, language: str) -> Speech:
        samples = (3_000 * np.sin(np.arange(2_400) / 5)).astype(np.int16)
        return Speech(samples, 8_000)

    async def close(self) -> None: ...


@dataclass
class Heard:
    """One call as Asterisk saw it."""

    variables: dict[str, str] = field(default_factory=dict)
    played: int = 0


@dataclass
class House:
    """The phone menus behind their server, and callers with keys."""

    menus: PhoneMenus
    server: AgiServer
    database: Database
    bus: Bus
    signals: list[Signal]
    recordings: Path

    async def call(
        self,
        entry: str,
        keys: str = "",
        *,
        caller: str = STRANGER,
        known: dict[str, str] | None = None,
        linkedid: str = "1.1",
        language: str = "en",
        before_a_key: Callable[[], Awaitable[object]] | None = None,
    ) -> Heard:
        """A call to `entry` that keys `keys` one after the other ("~": nothing) and hangs up."""
        heard = Heard()
        rest = list(keys)
        known = {"CHANNEL(linkedid)": linkedid} | (known or {})
        asked = f"{entry}&pbx=main"
        async with await AsteriskSide.connect(self.server.port) as asterisk:
            asterisk.say(
                (
                    f"agi_network: yes\nagi_network_script: {asked}\nagi_request: agi://x/{asked}\n"
                    f"agi_channel: PJSIP/trunk-1\nagi_uniqueid: 1.1\nagi_callerid: {caller}\n"
                    f"agi_language: {language}\nagi_arg_1: {KEY}\n\n"
                ).encode()
            )
            while command := await asterisk.asked():
                if before_a_key is not None and re.match(r'WAIT FOR DIGIT "\d{4}', command):
                    await before_a_key()
                answer, hung_up = self._answer(command, rest, known, heard)
                asterisk.say(answer.encode() + b"\n")
                if hung_up:
                    asterisk.say(b"HANGUP\n")
                    await asterisk.is_closed()
                    break
        return heard

    def _answer(
        self, command: str, rest: list[str], known: dict[str, str], heard: Heard
    ) -> tuple[str, bool]:
        words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', command)
        words = [quoted or plain for quoted, plain in words]
        match words:
            case ["GET", "VARIABLE", name]:
                value = known.get(name, "")
                return (f"200 result=1 ({value})" if value else "200 result=0"), False
            case ["SET", "VARIABLE", name, value]:
                heard.variables[name] = value
                return "200 result=1", False
            case ["SET", "VARIABLE", name]:
                heard.variables[name] = ""
                return "200 result=1", False
            case ["STREAM", "FILE", *_]:
                heard.played += 1
                return "200 result=0 endpos=800", False
            case ["WAIT", "FOR", "DIGIT", seconds] if int(seconds) < 1_000:
                return "200 result=0", False
            case ["WAIT", "FOR", "DIGIT", _]:
                if not rest:
                    return "200 result=-1", True
                key = rest.pop(0)
                return f"200 result={0 if key == '~' else ord(key)}", False
            case ["RECORD", "FILE", file, *_]:
                shutil.copy(self.recordings / "spoken", f"{file}.wav")
                return "200 result=35 (dtmf) endpos=8000", False
        return "200 result=0", False

    async def visits(self, linkedid: str = "1.1") -> list[MenuVisit]:
        """What is kept of the call, once all is written."""
        await self.menus.close()
        return await menu_visits.of_call(self.database, "main", linkedid)

    def told(self, kind: type[Signal]) -> list[Signal]:
        return [one for one in self.signals if isinstance(one, kind)]


@pytest.fixture
async def house(mall_template: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(mall_template, tmp_path) as made:
        yield made


@asynccontextmanager
async def a_house(
    template: Path, folder: Path, engine: Engine | None = None
) -> AsyncIterator[House]:
    shutil.copy(template, folder / "deskbell.db")
    recordings = folder / "recordings"
    recordings.mkdir()
    database = Database(f"sqlite:///{folder / 'deskbell.db'}", patience_s=5)
    bus, signals = Bus(), list[Signal]()
    bus.listen(signals.append)
    sounds = SoundFiles(folder / "sounds", engine or Hum())
    await sounds.start()
    spoken = await sounds.sound("a message", "en", fixed=True)
    long = folder / "recordings/spoken"
    await asyncio.to_thread(_long_enough, spoken.file, long)
    phone_menus = PhoneMenus(
        database, bus, sounds, region="CN", recordings={"main": recordings},
        clock=lambda: NOON,
    )  # fmt: skip
    await phone_menus.start()
    server = AgiServer("127.0.0.1", 0, key=KEY, peers=["127.0.0.1"], handlers=phone_menus.handlers)
    await server.start()
    yield House(phone_menus, server, database, bus, signals, recordings)
    await server.close(0)
    await phone_menus.close()
    await sounds.close()
    await database.close()


def _long_enough(short: Path, file: Path) -> None:
    with wave.open(str(short), "rb") as sound:
        parameters, frames = sound.getparams(), sound.readframes(sound.getnframes())
    with wave.open(str(file), "wb") as sound:
        sound.setparams(parameters)
        sound.writeframes(frames * 10)


async def test_through_the_menu_to_a_queue(house: House) -> None:
    heard = await house.call("menu?number=610", "140")
    assert heard.variables == {
        "CHANNEL(language)": "en",
        "DESKBELL_QUEUE": "service",
        "QUEUE_PRIO": str(queue_places.priority(NOON.timestamp())),
        "DESKBELL_AGENT": "",
        "DESKBELL_AGENT_LOGIN": "",
        "DESKBELL_GO": "queue",
    }
    [entered] = house.told(MenuEntered)
    assert isinstance(entered, MenuEntered)
    assert (entered.pbx, entered.call, entered.menu, entered.language) == (
        "main", "1.1", "main", "en",
    )  # fmt: skip
    steps = [step for step in house.told(MenuStep) if isinstance(step, MenuStep)]
    assert [(step.place, step.keyed) for step in steps] == [
        ("language", "1"),
        ("welcome", ""),
        ("main", "4"),
        ("mall", "0"),
        ("mall", ""),
        ("mall", ""),
    ]
    assert steps[4].heard == "I am putting you through to a colleague. One moment, please."
    assert steps[5].heard == "You are next."
    assert [one.to for one in house.told(MenuLeft) if isinstance(one, MenuLeft)] == ["service"]
    [visit] = await house.visits()
    assert (visit.menu, visit.version, visit.number, visit.left_to) == (
        "main", 1, STRANGER, "service",
    )  # fmt: skip
    assert [(step.heard, step.keyed) for step in visit.trail] == [
        (step.heard, step.keyed) for step in steps
    ]


@pytest.mark.parametrize("keys", ["", "1", "14", "11", "15", "172"])
async def test_hanging_up_in_any_state_is_a_visit_too(house: House, keys: str) -> None:
    await house.call("menu?number=610", keys)
    [visit] = await house.visits()
    assert visit.left_to == ""
    assert "".join(step.keyed for step in visit.trail) == keys
    assert house.server.figures.ended["failed"] == 0


async def test_who_is_known_is_spoken_to_in_their_language(house: House) -> None:
    heard = await house.call("menu?number=610", "0", caller=WELL_KNOWN_NUMBER)
    assert heard.variables["CHANNEL(language)"] == "zh"
    assert heard.variables["DESKBELL_QUEUE"] == "service_zh"
    # A VIP stands as if they had come three minutes earlier.
    assert int(heard.variables["QUEUE_PRIO"]) == queue_places.priority(NOON.timestamp(), 180)
    [visit] = await house.visits()
    assert visit.customer_id is not None
    assert visit.language == "zh"


async def test_the_place_survives_a_look_out_of_the_queue(house: House) -> None:
    place = queue_places.priority(NOON.timestamp() - 77)
    heard = await house.call(
        "waiting?why=key&queue=service", "1", known={"QUEUE_PRIO": str(place)}, language="es"
    )
    assert heard.variables["DESKBELL_GO"] == "queue"
    assert heard.variables["QUEUE_PRIO"] == str(place)
    assert heard.variables["CHANNEL(language)"] == "es"
    await house.call(
        "waiting?why=key&queue=service", "211", known={"QUEUE_PRIO": str(place)}, linkedid="2.2"
    )
    [kept] = await callbacks.waiting(house.database)
    assert kept.priority == place


@pytest.mark.parametrize("place", ["", "x", "-5", "99999999999", "0", "²"])
async def test_a_place_that_is_none_is_the_one_of_who_comes_now(house: House, place: str) -> None:
    heard = await house.call("waiting?queue=service", "1", known={"QUEUE_PRIO": place})
    assert heard.variables["QUEUE_PRIO"] == str(queue_places.priority(NOON.timestamp()))


async def test_a_message_and_closed_hours(house: House) -> None:
    heard = await house.call("message?why=chosen&queue=service", "1")
    assert heard.variables["DESKBELL_GO"] == "hangup"
    heard = await house.call("closed?why=hours&queue=service", "21", linkedid="2.2")
    assert heard.variables["DESKBELL_GO"] == "hangup"
    rows = await house.database.fetch("SELECT queue FROM tasks WHERE created_by = 'system'")
    assert [row[0] for row in rows] == ["service", "service"]
    assert [one.menu for one in await house.visits("2.2")] == ["closed"]


async def test_the_survey_knows_who_served(house: House) -> None:
    heard = await house.call(
        "survey?why=answered&queue=service", "154", known={"DESKBELL_SERVED_BY": "sara"}
    )
    assert heard.variables["DESKBELL_GO"] == "hangup"
    kept = await surveys.of_call(house.database, "main", "1.1")
    assert kept is not None
    assert (kept.agent, kept.answers) == ("sara", {"satisfied": 5, "settled": 4})


async def test_whom_a_caller_has_shown_to_be_counts_in_what_follows(house: House) -> None:
    rows = await house.database.fetch("SELECT id FROM customers WHERE name = 'Ana Rey'")
    house.bus.publish(  # as a card that was keyed before on this call says
        CallerIdentified(pbx="main", call="1.1", customer_id=rows[0][0], by="card")
    )
    await house.call("message?queue=service", "1")
    [visit] = await house.visits()
    assert visit.customer_id == rows[0][0]


async def test_what_is_published_elsewhere_is_heard_soon(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr.answering.FRESH_SECONDS", 0.0)
    found = await menus.MENUS.of_code(house.database, "main")
    assert found is not None
    data = trees.write(MAIN)
    data["start"] = "welcome"
    async with house.database.transaction() as transaction:
        number = await menus.MENUS.add_version(transaction, found.id, data, actor="test")
        await menus.MENUS.publish(transaction, found.id, number, problems=(), actor="test")
    await house.call("menu?number=610", "")
    async with asyncio.timeout(30):
        while house.menus.published.versions["main"] != 2:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    await house.call("menu?number=610", "", linkedid="2.2")
    assert [one.version for one in await house.visits("2.2")] == [2]


async def test_without_a_menu_the_dialplan_goes_on_to_people(house: House) -> None:
    async with house.database.transaction() as transaction:
        found = await menus.MENUS.of_code(house.database, "main")
        assert found is not None
        await menus.MENUS.change(
            transaction, found.id, titles={"en": "x"}, active=False, actor="test"
        )
    await house.menus.reload()
    heard = await house.call("menu?number=610", "1")
    assert heard == Heard()


async def test_a_trial_is_called_once_and_leaves_no_trace(house: House) -> None:
    token = house.menus.offer_trial("main", MAIN)
    heard = await house.call(f"trial?token={token}", "10")
    assert heard.variables["DESKBELL_GO"] == "queue"
    assert (await house.call(f"trial?token={token}", "10")).variables == {}
    assert house.signals == []
    assert await house.visits() == []


async def test_all_that_is_the_same_for_everybody_is_known_beforehand(house: House) -> None:
    parts = house.menus.fixed_parts()
    assert ("For your points, press 1.", "en") in parts
    assert ("Para conservar su puesto y que le llamemos, pulse 2.", "es") in parts
    assert ("您有", "zh") in parts
    assert ("شما یک امتیاز دارید.", "fa") in parts
    assert (house.menus.published.house.texts["dining"]["en"], "en") in parts
    assert len(parts) == len(set(parts))


async def test_a_store_that_is_away_still_answers(house: House) -> None:
    await house.database.close()
    path = house.recordings.parent / "deskbell.db"
    await asyncio.to_thread(path.rename, path.with_name("away.db"))
    heard = await house.call("menu?number=610", "120")
    assert heard.variables["DESKBELL_GO"] == "queue"
