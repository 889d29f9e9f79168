"""Answering: which entry of the dialplan is which conversation, and what is kept of each.

The room's front door. Owns what is published at the moment, who is calling, and the record of a
visit, which is written when it is over, also by a hang-up, without keeping anybody on the line.
Refuses to know what is said in a conversation (menus/), and how sound reaches the caller.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from crm_store.bus import Bus
from crm_store.contacts import queue_places
from crm_store.database import Database
from crm_store.people import customers
from crm_store.people.customers import CustomerCard
from crm_store.people.phone_numbers import to_e164
from crm_store.phone_menus import menus, opening_hours, prompt_recordings
from crm_store.phone_menus.opening_hours import Calendar
from crm_store.shop import house
from crm_store.shop.house import House
from crm_store.signals import CallEnded, CallerIdentified, CallMerged, Signal
from ivr import prompts
from ivr.agi.session import AgiSession
from ivr.conversation.conversation import Call, Conversation, Step
from ivr.conversation.line import Line, Spoken
from ivr.conversation.phone_line import PhoneLine
from ivr.menus import tree as trees
from ivr.menus.back_office import BackOffice
from ivr.menus.language import known_language
from ivr.menus.message import must_leave_message
from ivr.menus.publishing import fixed_parts
from ivr.menus.survey import ask_survey
from ivr.menus.to_agent import closed, place_of
from ivr.menus.tree import Tree
from ivr.menus.values import speak, warm_up
from ivr.menus.waiting import wait_or_not
from ivr.menus.walk import Walk
from ivr.prompts import Prompts
from ivr.queue_watch import QueueWatch
from ivr.speech.engines import SynthesisFailed
from ivr.speech.sound_files import SoundFiles
from ivr.speech.spoken import plain
from ivr.visit import Visit
from ivr.visit_book import VisitBook

log = logging.getLogger(__name__)

Handler = Callable[[AgiSession], Awaitable[None]]

FRESH_SECONDS: Final = 5.0
"""What was published elsewhere is heard after this time at the latest, from the next call on."""

WHO_SECONDS: Final = 1.5
"""So long the store is asked who is calling before the menu begins without knowing."""

VOICE_SECONDS: Final = 5.0
"""So long a caller hears nothing while a sound is being made: then a person helps. An engine that
hangs has a longer line of texts before it with each caller."""

TRIAL_SECONDS: Final = 600.0
"""A trial that nobody has called by then is off."""


@dataclass(frozen=True, slots=True)
class Published:
    """What callers hear now: the menus by their codes, with their versions' numbers, the prompts
    and the house's facts."""

    trees: Mapping[str, Tree] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    own_texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    house: House = field(default_factory=House)

    def prompts(self, code: str, tree: Tree | None) -> Prompts:
        """The prompts of a menu: its own texts, then the supervisor's, then ours."""
        own = dict(self.own_texts)
        if tree is not None:
            for text_code, texts in trees.own_texts(code, tree).items():
                own[text_code] = {**own.get(text_code, {}), **_said(texts)}
        return Prompts(own)


@dataclass(frozen=True, slots=True)
class Trial:
    """A tree that is tried on a real call before it is published."""

    code: str
    tree: Tree
    until: float


class PhoneMenus:
    """Conversations for callers, from `start` to `close`.

    `sounds` make speech heard; `recordings` are, by PBX, the folders that Asterisk records into and
    that recordings' rows are relative to; `uploads` the folder of supervisors' own recordings of
    prompts. `region` (ISO 3166) says how a number is meant and which ones are called back.
    """

    def __init__(
        self,
        database: Database,
        bus: Bus,
        sounds: SoundFiles,
        *,
        region: str,
        recordings: Mapping[str, Path],
        uploads: Path | None = None,
        staff_language: str = "en",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.watch = QueueWatch(bus, clock=lambda: clock().timestamp())
        self.published = Published()
        self._database = database
        self._bus = bus
        self._sounds = sounds
        self._region = region
        self._recordings = recordings
        self._uploads = uploads
        self._staff_language = staff_language
        self._clock = clock
        self._read_at = 0.0
        self._recorded: dict[tuple[str, str], Path] = {}
        self._reading: asyncio.Task[None] | None = None
        self._book = VisitBook(database)
        self._trials: dict[str, Trial] = {}
        self._identified: dict[tuple[str, str], int] = {}
        bus.listen(self._on_signal, CallerIdentified, CallEnded, CallMerged)

    async def start(self) -> None:
        """Read what is published and make its sounds in the background. Raises a database error."""
        for language in prompts.LANGUAGES:
            await asyncio.to_thread(warm_up, language, self._region)
        await self.reload()

    async def close(self) -> None:
        """Write down what is still to be written."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._book.close()

    async def reload(self) -> None:
        """Speak what is published now, in its own words and voices. Raises a database error."""
        own: dict[str, dict[str, str]] = {}
        for (code, language), text in (await prompt_recordings.own_texts(self._database)).items():
            own.setdefault(code, {})[language] = text
        found: dict[str, Tree] = {}
        versions: dict[str, int] = {}
        for code, version in (await menus.MENUS.used_now(self._database)).items():
            try:
                found[code] = trees.read(version.content)
            except trees.MalformedTree as error:
                log.error("menu %s, version %d, is no menu: %s", code, version.number, error)
                continue
            versions[code] = version.number
        read = Published(found, versions, own, await house.read(self._database))
        changed = read != self.published
        self.published = read
        self._read_at = time.monotonic()
        await self._use_recordings()
        if changed:
            self._sounds.prepare(self.fixed_parts())

    def fixed_parts(self) -> list[tuple[str, str]]:
        """What is said (text, language) that is the same for all callers."""
        parts: list[tuple[str, str]] = []
        for code, tree in self.published.trees.items():
            parts += fixed_parts(self.published.prompts(code, tree), {code: tree})
        parts += fixed_parts(self.published.prompts("", None), {})
        facts = self.published.house
        spoken = [*facts.texts.values(), *(question.texts for question in facts.survey)]
        parts += [(plain(text), code) for texts in spoken for code, text in texts.items() if text]
        return list(dict.fromkeys(parts))

    @property
    def handlers(self) -> dict[str, Handler]:
        """What answers a caller, by entry of the dialplan. The parameter `pbx` is who asks."""
        return {
            "menu": self._menu,
            "waiting": self._waiting,
            "message": self._message,
            "closed": self._closed,
            "survey": self._survey,
            "trial": self._trial,
        }

    # ---- trying a menu ---------------------------------------------------------------------------

    def offer_trial(self, code: str, tree: Tree) -> str:
        """A real call to [trial] with the token that this returns is answered with `tree`."""
        now = time.monotonic()
        self._trials = {token: one for token, one in self._trials.items() if one.until > now}
        token = secrets.token_hex(12)
        self._trials[token] = Trial(code, tree, now + TRIAL_SECONDS)
        return token

    async def try_out(
        self,
        line: Line,
        code: str,
        tree: Tree,
        *,
        customer: CustomerCard | None = None,
        number: str = "",
        now: Callable[[], datetime] | None = None,
        report: Callable[[Step], None] = lambda step: None,
        recordings: Path = Path(),
    ) -> None:
        """Walk through `tree` on a line of somebody's own: nothing that is done there stays done,
        and nobody is told. Raises CallerHungUp."""
        talk = Conversation(
            line,
            call=Call("", "", "", number),
            prompts=self.published.prompts(code, tree),
            speak=speak,
            house=self.published.house,
            clock=now or self._clock,
            language=tree.languages[0],
            customer=customer,
            report=report,
        )
        office = self._office(recordings, is_trial=True)
        await Walk(talk, office, code, tree).run()

    # ---- entries ---------------------------------------------------------------------------------

    async def _menu(self, session: AgiSession) -> None:
        tree = self.published.trees.get(menus.MAIN)
        if tree is None:
            log.error("no phone menu is published: callers go to people")
            return
        async with await self._visit(session, menus.MAIN) as visit:
            await Walk(visit.talk, visit.office, menus.MAIN, tree).run()

    async def _waiting(self, session: AgiSession) -> None:
        queue = session.parameters.get("queue", "")
        async with await self._visit(session, "waiting") as visit:
            talk, office = visit.talk, visit.office
            place = await _place(session) or await place_of(talk, office, queue)
            self.watch.give_place(talk.call.pbx, talk.call.linkedid, place)
            calendar = await self._hours()
            if calendar is not None and not calendar.is_open(talk.now()):
                await closed(talk, office, queue, calendar)
                return
            nobody = session.parameters.get("why") in ("full", "empty")
            await wait_or_not(talk, office, queue, place=place, calendar=calendar, nobody=nobody)

    async def _message(self, session: AgiSession) -> None:
        queue = session.parameters.get("queue", "")
        async with await self._visit(session, "message") as visit:
            await must_leave_message(visit.talk, visit.office, queue)

    async def _closed(self, session: AgiSession) -> None:
        queue = session.parameters.get("queue", "")
        async with await self._visit(session, "closed") as visit:
            await closed(visit.talk, visit.office, queue, await self._hours())

    async def _survey(self, session: AgiSession) -> None:
        queue = session.parameters.get("queue", "")
        async with await self._visit(session, "survey") as visit:
            agent = await session.variable("DESKBELL_SERVED_BY")
            await ask_survey(visit.talk, visit.office, queue=queue, agent=agent)

    async def _trial(self, session: AgiSession) -> None:
        trial = self._trials.pop(session.parameters.get("token", ""), None)
        if trial is None or trial.until < time.monotonic():
            return
        folder = self._recordings_of(session.parameters.get("pbx", ""))
        line = PhoneLine(session, voice=self._voice, recordings=folder)
        await self.try_out(line, trial.code, trial.tree, recordings=folder)

    # ---- what every conversation has -------------------------------------------------------------

    async def _visit(self, session: AgiSession, menu: str) -> Visit:
        """A conversation with whoever calls. Raises CallerHungUp, AgiError."""
        self._refresh()
        pbx = session.parameters.get("pbx", "")
        linkedid = await session.variable("CHANNEL(linkedid)") or session.header.get("uniqueid", "")
        number = to_e164(session.header.get("callerid", ""), self._region) or ""
        call = Call(pbx, linkedid, session.channel, number, session.parameters.get("number", ""))
        customer = await self._who(call)
        folder = self._recordings_of(pbx)
        version = self.published.versions.get(menu)
        visit = Visit(menu, version, self._office(folder), self._book.keep)
        tree = self.published.trees.get(menu) or self.published.trees.get(menus.MAIN)
        talk = Conversation(
            PhoneLine(session, voice=self._voice, recordings=folder),
            call=call,
            prompts=self.published.prompts(menu, tree),
            speak=speak,
            house=self.published.house,
            clock=self._clock,
            customer=customer,
            report=visit.step,
        )
        languages = tree.languages if tree is not None else prompts.LANGUAGES
        # Whoever was in the menu before speaks that language still.
        spoken = session.header.get("language", "") if menu != menus.MAIN else ""
        known = known_language(talk, languages) or languages[0]
        talk.language = spoken if spoken in languages else known
        visit.begin(talk)
        return visit

    def _office(self, recordings: Path, *, is_trial: bool = False) -> BackOffice:
        return BackOffice(
            database=self._database,
            region=self._region,
            watch=self.watch,
            recordings=recordings,
            publish=(lambda signal: None) if is_trial else self._bus.publish,
            staff_language=self._staff_language,
            is_trial=is_trial,
        )

    def _recordings_of(self, pbx: str) -> Path:
        folder = self._recordings.get(pbx)
        return folder if folder is not None else next(iter(self._recordings.values()))

    async def _who(self, call: Call) -> CustomerCard | None:
        """The customer: whom they have shown to be, else whose number it is and nobody else's."""
        known = self._identified.get((call.pbx, call.linkedid))
        try:
            async with asyncio.timeout(WHO_SECONDS):
                if known is not None:
                    return await customers.card(self._database, known)
                matches = (
                    await customers.find_by_phone(self._database, call.number)
                    if call.number
                    else []
                )
        except Exception as error:
            log.warning("nobody can say who is calling: %s", type(error).__name__)
            return None
        return matches[0] if len(matches) == 1 else None

    async def _hours(self) -> Calendar | None:
        """When people are there, as the main menu has it; None for always, or if nobody knows."""
        tree = self.published.trees.get(menus.MAIN)
        if tree is None or not tree.hours:
            return None
        try:
            async with asyncio.timeout(WHO_SECONDS):
                return await opening_hours.read(self._database, tree.hours)
        except Exception as error:
            log.warning("opening hours are not known: %s", type(error).__name__)
            return None

    async def _voice(self, spoken: Spoken) -> str:
        try:
            async with asyncio.timeout(VOICE_SECONDS):
                sound = await self._sounds.sound(spoken.text, spoken.language, fixed=spoken.fixed)
        except TimeoutError:
            raise SynthesisFailed(f"nothing is said after {VOICE_SECONDS:g} s") from None
        return sound.for_asterisk

    async def _use_recordings(self) -> None:
        if self._uploads is None:
            return
        found = await prompt_recordings.recordings(self._database)
        files = {(one.language, one.text): self._uploads / one.file for one in found.values()}
        if files != self._recorded:
            # Every file is opened to be measured: not without need.
            self._recorded = files
            self._sounds.use_recordings(files)

    def _refresh(self) -> None:
        """Look for what was published since, without keeping a caller waiting."""
        running = self._reading is not None and not self._reading.done()
        if running or time.monotonic() - self._read_at < FRESH_SECONDS:
            return

        async def read() -> None:
            try:
                await self.reload()
            except Exception as error:
                self._read_at = time.monotonic()
                log.warning("the menus stay as they were: %s", type(error).__name__)

        self._reading = asyncio.create_task(read(), name="published menus")

    def _on_signal(self, signal: Signal) -> None:
        match signal:
            case CallerIdentified():
                self._identified[signal.pbx, signal.call] = signal.customer_id
            case CallEnded():
                self._identified.pop((signal.pbx, signal.call), None)
            case CallMerged():
                known = self._identified.pop((signal.pbx, signal.merged), None)
                if known is not None:
                    self._identified.setdefault((signal.pbx, signal.call), known)


def _said(texts: Mapping[str, str]) -> dict[str, str]:
    return {language: text for language, text in texts.items() if text.strip()}


async def _place(session: AgiSession) -> int | None:
    """The caller's place in the queue, as the dialplan carries it."""
    text = await session.variable("QUEUE_PRIO")
    place = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    return place if 0 < place <= queue_places.FIRST else None
