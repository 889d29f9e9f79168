"""Faxes of ours, called out: one call each, its pages sent, and what became of it.

Owns the call from the Originate to the report, and finding it again after this process, the link or
Asterisk itself was away: the channel carries the fax's key as its own name, and the dialplan notes
in Asterisk's database that it has begun and how it ended. So asking for the same fax again never
sends it twice, except once where Asterisk died in the middle and nobody can know.
Refuses to know customers, PDFs and when a failed fax is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from crm_store.contacts.faxes import FaxOutcome, FaxReport
from cti.ami.link import ActionFailed, ActionTimeout, AmiLink, LinkDown
from cti.calls.call_state import FAX_PREFIX

log = logging.getLogger(__name__)

USER_EVENT: Final = "DeskbellFax"
FAX_CALL_EVENTS: Final = frozenset({"UserEvent", "HangupRequest", "Hangup"})
FAX_CALL_ONLY_WITH: Final[dict[str, tuple[str, ...]]] = {"UserEvent": (f"UserEvent: {USER_EVENT}",)}
FAX_CALL_HEADERS: Final = frozenset(
    {"ActionID", "Response", "Reason", "Uniqueid", "Cause", "UserEvent", "Fax"}
)

CONTEXT: Final = "fax-sending"
MARKS: Final = "fax"
"""The family of Asterisk's database in which the dialplan notes what becomes of each."""
RING_SECONDS: Final = 60
LONGEST_CALL_SECONDS: Final = 3 * 3600.0
LINK_SECONDS: Final = 30.0
"""How long a fax waits for the link before it is said that there is no line."""
MARK_KEPT_SECONDS: Final = 3600.0
"""How long it is remembered in Asterisk that a fax was sent, should our own memory of it fail."""
MOST_TRIES: Final = 2

_KEY: Final = re.compile(r"[0-9a-z]{8,64}")
_NUMBER: Final = re.compile(r"\+?[0-9]{2,20}")
# OriginateResponse's Reason: AST_CONTROL_RINGING (rung in vain), _BUSY, and its own word for ended.
_REASONS: Final = {"1": FaxOutcome.NO_ANSWER, "3": FaxOutcome.NO_ANSWER, "5": FaxOutcome.BUSY}
# Q.850.
_CAUSES: Final = {
    "1": FaxOutcome.WRONG_NUMBER,
    "17": FaxOutcome.BUSY,
    "18": FaxOutcome.NO_ANSWER,
    "19": FaxOutcome.NO_ANSWER,
    "22": FaxOutcome.WRONG_NUMBER,
    "28": FaxOutcome.WRONG_NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxLine:
    """By what line, and as whom: `trunk` is the endpoint, `shown_number` the caller's number,
    `station` and `header` what the other machine shows and prints."""

    trunk: str
    shown_number: str = ""
    station: str = ""
    header: str = ""
    t38: bool = True


@dataclass(slots=True)
class _Course:
    """What has been heard of a call: `over` is set when it ended, or the link did."""

    over: asyncio.Future[FaxReport | None]
    answered: bool = False
    cause: str = ""


@dataclass(slots=True)
class _Mark:
    word: str = ""
    values: list[str] = field(default_factory=list)


class FaxCalls:
    """The fax calls of one PBX. `feed` it the link's messages, and `link_down` when it is."""

    def __init__(self, link: AmiLink) -> None:
        self._link = link
        self._courses: dict[str, _Course] = {}
        self._sending: dict[str, asyncio.Task[FaxReport]] = {}

    async def send(self, line: FaxLine, *, key: str, to: str) -> FaxReport:
        """Call `to` and send the pages in the spool's `fax-out/<key>.tif`; the end of it.

        With the key of a fax that was sent, or is being sent, it is that one's report. Raises
        ValueError for a key or number that is none, TimeoutError if there is no end.
        """
        if not _KEY.fullmatch(key) or not _NUMBER.fullmatch(to):
            raise ValueError("a fax needs a key and a number")
        task = self._sending.get(key)
        if task is None:
            task = self._sending[key] = asyncio.create_task(self._send(line, key, to))
            task.add_done_callback(lambda _: self._sending.pop(key, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Follow no call any more; Asterisk goes on, and is asked for them the next time."""
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def feed(self, message: Mapping[str, str]) -> None:
        """Take one AMI message. Never raises."""
        event = message.get("Event")
        if event == "UserEvent":
            self._end(message.get("Fax", ""), None)
        elif event in {"HangupRequest", "Hangup"}:
            self._hung_up(message, is_over=event == "Hangup")
        elif event == "OriginateResponse":
            self._originated(message)

    def link_down(self) -> None:
        """Nothing more is heard of calls: they are asked for when the link is up again."""
        for key in list(self._courses):
            self._end(key, None)

    # ---- what is heard ---------------------------------------------------------------------------

    def _end(self, key: str, report: FaxReport | None) -> None:
        course = self._courses.get(key)
        if course is not None and not course.over.done():
            course.over.set_result(report)

    def _hung_up(self, message: Mapping[str, str], *, is_over: bool) -> None:
        key = _key_of(message.get("Uniqueid", ""))
        course = self._courses.get(key)
        if course is None:
            return
        course.cause = course.cause or message.get("Cause", "")
        if is_over and course.answered:
            self._end(key, None)

    def _originated(self, message: Mapping[str, str]) -> None:
        key = _key_of(message.get("ActionID", ""))
        course = self._courses.get(key)
        if course is None:
            return
        if message.get("Response") == "Success":
            course.answered = True
            return
        reason = message.get("Reason", "")
        outcome = _CAUSES.get(course.cause) or _REASONS.get(reason) or FaxOutcome.NO_LINE
        said = f"cause {course.cause}" if course.cause else f"reason {reason}"
        self._end(key, FaxReport(outcome=outcome, said=said))

    # ---- one fax ---------------------------------------------------------------------------------

    async def _send(self, line: FaxLine, key: str, to: str) -> FaxReport:
        begun = False
        async with asyncio.timeout(LONGEST_CALL_SECONDS):
            while True:
                try:
                    async with asyncio.timeout(None if begun else LINK_SECONDS):
                        await self._link.wait_up()
                except TimeoutError:
                    return FaxReport(outcome=FaxOutcome.NO_LINE, said="the PBX is away")
                try:
                    report = await self._look_and_dial(line, key, to)
                except (LinkDown, ActionTimeout) as error:
                    begun = True
                    log.info("fax %s is asked for again: %s", key, error)
                    continue
                if report is not None:
                    return report
                begun = True

    async def _look_and_dial(self, line: FaxLine, key: str, to: str) -> FaxReport | None:
        """One round: what Asterisk knows of it, else a call; None to look again."""
        course = self._courses[key] = _Course(asyncio.get_running_loop().create_future())
        try:
            lives = await self._lives(key)
            mark = await self._mark(key)
            if mark.word == "done":
                return await self._report(key, mark)
            if not lives:
                tries = int(mark.values[0]) if mark.word == "sending" else 0
                if tries >= MOST_TRIES:
                    await self._forget(key)
                    return FaxReport(outcome=FaxOutcome.LOST, said="the PBX died while sending")
                try:
                    await self._dial(line, key, to, tries + 1)
                except ActionFailed as error:
                    return FaxReport(outcome=FaxOutcome.NO_LINE, said=str(error)[:200])
            else:
                course.answered = True
            return await course.over
        finally:
            del self._courses[key]

    async def _dial(self, line: FaxLine, key: str, to: str, tries: int) -> None:
        await self._link.action(
            "Originate",
            ActionID=FAX_PREFIX + key,
            ChannelId=FAX_PREFIX + key,
            Channel=f"{line.trunk.partition('/')[0]}/{to}@{line.trunk.partition('/')[2]}",
            Context=CONTEXT,
            Exten="s",
            Priority=1,
            Timeout=RING_SECONDS * 1000,
            CallerID=f"<{''.join(re.findall(r'[+0-9]', line.shown_number))}>",
            Variable=[
                f"DESKBELL_FAX={key}",
                f"DESKBELL_FAX_TRY={tries}",
                f"DESKBELL_FAX_HEADER={_plain(line.header)}",
                f"DESKBELL_FAX_STATION={_plain(line.station)[:20]}",
                f"DESKBELL_FAX_OPTIONS={'fz' if line.t38 else 'F'}",
            ],
        )

    async def _lives(self, key: str) -> bool:
        rows = await self._link.list_action("CoreShowChannels")
        return any(row.get("Uniqueid") == FAX_PREFIX + key for row in rows)

    async def _mark(self, key: str) -> _Mark:
        try:
            found = await self._link.list_action("DBGet", Family=MARKS, Key=key)
        except ActionFailed:
            return _Mark()
        word, *values = found[0].get("Val", "").split("|") if found else [""]
        return _Mark(word, values) if word != "sending" or values else _Mark()

    async def _report(self, key: str, mark: _Mark) -> FaxReport:
        status, pages, rate, mode, station, error, said = [*mark.values, *[""] * 7][:7]
        report = FaxReport(
            outcome=_outcome(status, f"{station}{pages}{rate}".strip(" 0"), error),
            pages=_whole(pages),
            rate=_whole(rate),
            mode=mode,
            station=station.strip(),
            said=" ".join(f"{error} {said}".split())[:200],
        )
        if report.outcome is FaxOutcome.SENT:
            # Whoever asked may die before they have noted it, and ask once more.
            asyncio.get_running_loop().call_later(MARK_KEPT_SECONDS, self._forget_later, key)
        else:
            await self._forget(key)
        return report

    def _forget_later(self, key: str) -> None:
        task = asyncio.ensure_future(self._forget(key))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _forget(self, key: str) -> None:
        try:
            await self._link.action("DBDel", Family=MARKS, Key=key)
        except ActionFailed:
            log.debug("Asterisk has no note of fax %s", key)


def _key_of(name: str) -> str:
    return name.removeprefix(FAX_PREFIX) if name.startswith(FAX_PREFIX) else ""


def _outcome(status: str, agreed: str, error: str) -> FaxOutcome:
    """`agreed` is "" if no machine there has said its name, agreed on a rate or taken a page."""
    if status == "SUCCESS":
        return FaxOutcome.SENT
    if not agreed and error != "FILE_ERROR":
        return FaxOutcome.NO_FAX_MACHINE
    return FaxOutcome.BROKEN


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def _plain(text: str) -> str:
    """What a fax's header line can print, with nothing that means something on the way there."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^A-Za-z0-9 .+&'/-]", " ", plain).split())[:50]
