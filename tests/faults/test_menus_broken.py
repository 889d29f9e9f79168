"""The phone menus where something is broken, missing or abused: what holds, and what is left."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crm_store.contacts import callbacks, outbox
from crm_store.models import ContactKind, Segment
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.phone_menus import guesses, menus
from crm_store.phone_menus.guesses import LIMITS, WITHHELD_TIMES, GuessKind
from deskbell import log
from deskbell.settings import LogSettings
from ivr.conversation.line import ToQueue
from ivr.menus import tree as trees
from ivr.menus.tree import MalformedTree
from ivr.speech.engines import EspeakNg, Speech, SynthesisFailed
from ivr.speech.sound_files import SoundFiles
from tests.ivr.agi.asterisk_side import KEY
from tests.ivr.menus.conftest import mall_template, stage
from tests.ivr.menus.stage import ANA, ANAS_CARD, ANAS_PIN, MAIN, STRANGER, Stage
from tests.ivr.test_answering import House, Hum, a_house, house
from tests.store_fixtures import sqlite_template

__all__ = ["house", "mall_template", "sqlite_template", "stage"]

pytestmark = pytest.mark.db

PREMIUM = (
    "110#", "119#", "120#", "911#", "112#", "999#",  # emergencies
    "1001#", "600#", "610#", "800#",  # our own
    "0014155552671#", "004420794609990#", "0085291234567#", "0037090012345#",  # abroad
    "16812345#", "9013812345678#", "4008123456#", "95588#",  # premium, prefixed, shared costs
    "00000000000#", "99999999999#", "0#",
)  # fmt: skip


# ---- what a caller cannot reach ------------------------------------------------------------------


@pytest.mark.parametrize("digits", PREMIUM)
async def test_no_callback_goes_to_a_number_that_costs_more(stage: Stage, digits: str) -> None:
    # 7 in the main menu: call me back; in turn; the number three times; whatever comes then.
    await stage.call(f"171{digits * 3}", number="")
    assert await callbacks.waiting(stage.database) == []


async def test_whose_number_is_abroad_is_not_called_nor_texted_there(stage: Stage) -> None:
    for abroad in ("+37129123456", "+8816123456789", "+14155552671", "+85291234567"):
        await stage.call("171~~~", number=abroad)
        await stage.call("15s1", number=abroad)
    assert await callbacks.waiting(stage.database) == []
    assert await outbox.waiting(stage.database) == []
    # Who has told it before is.
    known = "+447911123456"
    async with stage.database.transaction() as transaction:
        way = ContactWay(ContactKind.PHONE, known)
        new = NewCustomer("Ann", "en", segment=Segment.MEMBER, contact_points=[way])
        await customers.create(transaction, new, actor="test")
    await stage.call("5s1", number=known, customer=await stage.known(known))
    assert [one.recipient for one in await outbox.waiting(stage.database)] == [known]


async def test_one_caller_has_so_many_others_called_and_no_more(stage: Stage) -> None:
    most = LIMITS[GuessKind.CALLER_NUMBERS].attempts
    for victim in range(most + 5):
        caller = await stage.call(f"1712139000000{victim:02d}#1")
    assert len(await callbacks.waiting(stage.database)) == most
    assert isinstance(caller.gone, ToQueue), "a person helps"
    # Their own number is theirs to ask for.
    await stage.call("1711")
    assert STRANGER in {one.number for one in await callbacks.waiting(stage.database)}


# ---- guessing ------------------------------------------------------------------------------------


async def test_a_card_is_guessed_at_no_more_often_by_many_callers(stage: Stage) -> None:
    """Withheld, other numbers, at once and one after the other; and the registered number of who
    owns the card is not kept out by it."""
    numbers = ["", "", "", *(f"+86139{i:08d}" for i in range(9))]
    calls = [stage.call(f"11{ANAS_CARD}#1111#~~~", number=number) for number in numbers]
    await asyncio.gather(*calls[:6])
    for call in calls[6:]:
        await call
    right = await stage.call(f"11{ANAS_CARD}#{ANAS_PIN}#", number="+8613955555555")
    assert not any("12,345.50" in text for text in right.shown), "the PIN came too late"
    assert any("too many attempts" in text for text in right.shown)
    ana = await stage.call("11", number=ANA, customer=await stage.known(ANA), language="en")
    assert any(text for text in ana.shown)
    own = await stage.call("11", number=ANA, customer=await stage.known(ANA))
    assert own.talk is not None
    assert own.talk.customer is not None


async def test_a_card_is_free_again_after_a_day_even_if_somebody_goes_on(stage: Stage) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    limit = LIMITS[GuessKind.CARD]
    for minute in range(limit.attempts * 4):
        at = start + timedelta(minutes=minute)
        allowed = await guesses.allowed(stage.database, GuessKind.CARD, ANAS_CARD, now=at)
        assert allowed == (minute < limit.attempts)
    after = start + limit.within + timedelta(seconds=1)
    assert await guesses.allowed(stage.database, GuessKind.CARD, ANAS_CARD, now=after)


async def test_withheld_callers_share_one_count(stage: Stage) -> None:
    most = LIMITS[GuessKind.CALLER_ORDERS].attempts * WITHHELD_TIMES
    asked = [guesses.allowed(stage.database, GuessKind.CALLER_ORDERS, "") for _ in range(most + 10)]
    assert sum(await asyncio.gather(*asked)) == most


# ---- what is left behind -------------------------------------------------------------------------


async def test_what_a_caller_speaks_anew_is_not_kept(stage: Stage) -> None:
    caller = await stage.call("15s2s2s", number=STRANGER)
    assert caller.hung_up or caller.gone
    rows = await stage.database.fetch("SELECT file FROM recordings")
    assert {file.name for file in stage.folder.glob("*.wav")} == {str(row[0]) for row in rows[-1:]}


async def test_a_trial_leaves_no_recording(stage: Stage) -> None:
    await stage.call("15s1", is_trial=True)
    assert list(stage.folder.glob("*.wav")) == []


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_hundreds_of_calls_leave_nothing(house: House) -> None:
    for warm in range(20):
        await house.call("menu?number=610", "140", linkedid=f"0.{warm}")
    tasks, files = len(asyncio.all_tasks()), open_files()
    ways = ["140", "", "1", "11", f"11{ANAS_CARD}#1", "15", "1###***", "~~~", "0", "172", "171~~"]
    for start in range(0, 500, 50):
        await asyncio.gather(
            *(
                house.call("menu?number=610", ways[i % len(ways)], linkedid=f"{i}.77")
                for i in range(start, start + 50)
            )
        )
    await house.menus.close()
    async with asyncio.timeout(30):
        while house.server.figures.sessions or house.server.figures.half_open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert house.server.figures.ended["failed"] == 0
    assert len(asyncio.all_tasks()) <= tasks + 2
    assert open_files() <= files + 10
    rows = await house.database.fetch("SELECT COUNT(*) FROM menu_visits")
    assert rows[0][0] == 520


@pytest.mark.parametrize(
    "keys", ["#" * 300, "*" * 300, "9" * 300, "1*" * 150, "0" * 50, "14" * 150]
)
async def test_floods_of_keys_end_with_a_person(house: House, keys: str) -> None:
    heard = await house.call("menu?number=610", keys)
    assert heard.variables["DESKBELL_GO"] == "queue"


# ---- what is seen --------------------------------------------------------------------------------


@pytest.fixture
def talkative() -> Iterator[io.StringIO]:
    """The service's own log at DEBUG."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hushed = {name: logging.getLogger(name).level for name in ("aiosqlite", "alembic")}
    log.set_up(LogSettings.model_validate({"level": "DEBUG", "format": "text"}))
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    yield written
    root.handlers[:], root.level = handlers, level
    for name, former in hushed.items():
        logging.getLogger(name).setLevel(former)


async def test_cards_and_pins_are_nowhere(house: House, talkative: io.StringIO) -> None:
    secrets = (ANAS_CARD, ANAS_PIN, KEY)
    await house.call("menu?number=610", f"11{ANAS_CARD}#{ANAS_PIN}#~")
    await house.call("menu?number=610", f"11{ANAS_CARD}#9999#~", linkedid="2.2")
    await house.call("menu?number=610", f"11{ANAS_CARD}1#", linkedid="3.3")
    # A card number of a wrong check digit is one, too.
    await house.call(
        "menu?number=610", f"11{ANAS_CARD[:-1]}{9 - int(ANAS_CARD[-1])}#", linkedid="4"
    )
    await house.call("menu?number=610", "171139123400007#1")
    visits = await house.visits()
    assert visits
    trail = repr(await house.database.fetch("SELECT * FROM menu_visits"))
    told = repr(house.signals)
    said = talkative.getvalue()
    for secret in (*secrets, ANAS_CARD[:-1], "9999"):
        assert secret not in trail, "in the trail"
        assert secret not in told, "in signals"
        assert secret not in said, "in the log"
    for personal in (STRANGER, STRANGER[1:], "13912340000", "12,345.50", "Ana Rey"):
        assert personal not in said, "in the log"
    keyed = [step.keyed for visit in visits for step in visit.trail]
    assert "•" * len(ANAS_CARD) in keyed
    kept = await house.database.fetch("SELECT * FROM guesses")
    assert not any(secret in repr(kept) for secret in (*secrets, STRANGER))
    names = " ".join(str(path) for path in house.recordings.parent.rglob("*"))
    assert not re.search(rf"{ANAS_CARD}|{STRANGER[1:]}|12345", names)


async def test_sounds_of_values_are_for_their_user_only(house: House) -> None:
    await house.call("menu?number=610", f"11{ANAS_CARD}#{ANAS_PIN}#~")
    folder = house.recordings.parent / "sounds"
    values = list((folder / "values").rglob("*.wav"))
    assert values
    assert all(file.stat().st_mode & 0o077 == 0 for file in values)
    assert (folder / "values").stat().st_mode & 0o077 == 0
    # What is being made meanwhile may stay.
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    heard = await house.call("menu?number=610", f"11{ANAS_CARD}#{ANAS_PIN}#~", linkedid="2.2")
    assert heard.played > 4, "the folder was deleted under our feet, and callers hear all"
    assert house.server.figures.ended["failed"] == 0
    assert (folder / "values").stat().st_mode & 0o077 == 0


async def test_a_recording_that_is_gone_is_said_by_our_voice(tmp_path: Path) -> None:
    sounds = SoundFiles(tmp_path / "sounds", Hum())
    await sounds.start()
    made = await sounds.sound("hello", "en", fixed=True)
    own = tmp_path / "own.wav"
    shutil.copy(made.file, own)
    sounds.use_recordings({("en", "hello"): own})
    assert (await sounds.sound("hello", "en", fixed=True)).file == own
    own.unlink()
    assert (await sounds.sound("hello", "en", fixed=True)).file == made.file
    await sounds.close()


# ---- speech that does not come -------------------------------------------------------------------


class Stuck(Hum):
    """An engine that says fixed words, and hangs at all others."""

    hangs = False

    async def speak(self, text: str, language: str) -> Speech:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().speak(text, language)


async def test_an_engine_that_hangs_keeps_nobody_in_silence(
    mall_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ivr.answering.VOICE_SECONDS", 0.2)
    engine = Stuck()
    async with a_house(mall_template, tmp_path, engine) as house:
        async with asyncio.timeout(120):
            while house.menus._sounds.progress.done < house.menus._sounds.progress.total:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        engine.hangs = True
        heard = await asyncio.gather(
            *(
                house.call("menu?number=610", f"11{ANAS_CARD}#{ANAS_PIN}#~~", linkedid=f"{i}.1")
                for i in range(20)
            )
        )
        assert {one.variables["DESKBELL_GO"] for one in heard} == {"queue"}


async def test_espeak_that_is_missing_killed_or_silent_says_so(tmp_path: Path) -> None:
    with pytest.raises(SynthesisFailed):
        EspeakNg([str(tmp_path / "nothing")])
    program = tmp_path / "espeak"

    def be(does: str) -> None:
        program.write_text(
            "#!/bin/sh\ncase $1 in\n--version) echo 'eSpeak NG text-to-speech: 1.51';;\n"
            "--voices) echo 'Pty Language'; echo ' 5 en-us M x';;\n"
            f"*) {does};;\nesac\n"
        )
        program.chmod(0o700)

    be("kill -9 $$")
    engine = EspeakNg([str(program)])
    for does in ("kill -9 $$", "exit 1", "true", "echo nonsense", "cat /dev/null", "exec false"):
        be(does)
        with pytest.raises(SynthesisFailed):
            await engine.speak("hello", "en")
    program.unlink()
    with pytest.raises(SynthesisFailed):
        await engine.speak("hello", "en")


async def test_a_folder_that_takes_no_file_is_told_and_people_answer(
    mall_template: Path, tmp_path: Path
) -> None:
    async with a_house(mall_template, tmp_path) as house:
        folder = tmp_path / "sounds/values"
        await asyncio.to_thread(shutil.rmtree, folder)
        folder.write_text("a file in the folder's place")
        heard = await house.call("menu?number=610", f"11{ANAS_CARD}#{ANAS_PIN}#~~")
        assert heard.variables["DESKBELL_GO"] == "queue"
        folder.unlink()


# ---- the store, in the middle --------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["11", "12", "13", "15", "16", "17", "141", "171", "1711"])
async def test_a_store_that_goes_away_in_the_middle_of_a_conversation(
    stage: Stage, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is locked by somebody else for good, from the first key on."""
    monkeypatch.setattr("ivr.menus.back_office.LOOK_UP_SECONDS", 0.3)
    monkeypatch.setattr("ivr.menus.back_office.WRITE_SECONDS", 0.3)
    lock = sqlite3.connect(stage.folder / "deskbell.db", timeout=5)
    lock.execute("BEGIN IMMEDIATE")
    try:
        caller = await stage.call(f"{keys}{ANAS_CARD}#{ANAS_PIN}#s1~~~1~~~~~~~~~~~~~~~~~~")
        assert caller.gone is not None, caller.shown[-3:]
    finally:
        lock.rollback()
        lock.close()


# ---- the editor's data ---------------------------------------------------------------------------


def _tree(**more: object) -> dict[str, object]:
    return {**trees.write(MAIN), **more}


@pytest.mark.parametrize(
    "data",
    [
        None, [], "x", 5, {"nodes": 1},
        _tree(nodes=[{"kind": "say", "id": f"n{i}", "to": f"n{i + 1}"} for i in range(10_000)]),
        _tree(nodes=[{"kind": "say", "id": "a", "texts": {"en": "x" * 1_000_000}}]),
        _tree(nodes=[{"kind": "say", "id": "../../etc/passwd"}]),
        _tree(nodes=[{"kind": "say", "id": "a/b"}]),
        _tree(nodes=[{"kind": "say", "id": "A\n"}]),
        _tree(nodes=[{"kind": "exec", "id": "a"}]),
        _tree(texts={"../x": {"en": "x"}}),
        _tree(languages=[]),
        _tree(surprise=1),
    ],
    ids=lambda data: str(data)[:40],
)  # fmt: skip
def test_what_is_no_tree_is_refused(data: object) -> None:
    with pytest.raises(MalformedTree):
        trees.read(data)


async def test_publishing_while_callers_are_inside(house: House) -> None:
    """They end in the menu that they began; whoever comes then hears the new one."""
    arrived, published = asyncio.Semaphore(0), asyncio.Event()

    async def wait() -> None:
        arrived.release()
        await published.wait()

    inside = [
        asyncio.create_task(
            house.call("menu?number=610", "14*0", linkedid=f"{i}.5", before_a_key=wait)
        )
        for i in range(50)
    ]
    for _ in inside:
        await asyncio.wait_for(arrived.acquire(), 60)
    found = await menus.MENUS.of_code(house.database, "main")
    assert found is not None
    nodes = [{"kind": "queue", "id": "people"}]
    async with house.database.transaction() as transaction:
        tree = _tree(start="people", nodes=nodes)
        number = await menus.MENUS.add_version(transaction, found.id, tree, actor="test")
        await menus.MENUS.publish(transaction, found.id, number, problems=(), actor="test")
    await house.menus.reload()
    published.set()
    for heard in await asyncio.gather(*inside):
        assert heard.variables["DESKBELL_GO"] == "queue"
    await house.call("menu?number=610", "", linkedid="51.5")
    versions = await house.visits("51.5")
    assert [visit.version for visit in versions] == [2]
    for i in range(50):
        [visit] = await house.visits(f"{i}.5")
        assert visit.version == 1
        assert [step.keyed for step in visit.trail if step.keyed] == ["1", "4", "*", "0"]


async def test_two_supervisors_save_and_publish_at_once(stage: Stage) -> None:
    found = await menus.MENUS.of_code(stage.database, "main")
    assert found is not None

    async def save_and_publish(who: int) -> int:
        async with stage.database.transaction() as transaction:
            number = await menus.MENUS.add_version(
                transaction, found.id, _tree(start="welcome"), actor=f"s{who}"
            )
            await menus.MENUS.publish(transaction, found.id, number, problems=(), actor=f"s{who}")
        return number

    numbers = await asyncio.gather(*(save_and_publish(who) for who in range(8)))
    assert len(set(numbers)) == 8
    used = (await menus.MENUS.used_now(stage.database))["main"]
    assert used.number in numbers
