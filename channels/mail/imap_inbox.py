"""A mailbox at any IMAP server: what is unread there comes into the inbox.

Owns the connection (IDLE, or polling where a server has none; reconnecting) and the order of
things: a mail is stored first and marked as read after, so that whatever stops in between, it is
unread and comes again. What is read already is left alone, but for mails that came while we were
connected: whoever else reads them first takes none away. Deletes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import ssl
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aioimaplib import aioimaplib

from channels.mail.intake import MailIntake
from channels.mail.parsing import LARGEST_MAIL

log = logging.getLogger(__name__)
# aioimaplib logs what mails say, and who wrote them.
logging.getLogger("aioimaplib.aioimaplib").setLevel(logging.ERROR)

PORTS = {"tls": 993, "starttls": 143, "none": 143}

# Smaller than what a server answers in one reading: aioimaplib goes one call deeper for each line.
_BATCH = 50
_HELD_BYTES = 5_000_000
_TRIES = 5
_BEHIND_S = 20.0
_HIGHEST_UID = 4_294_967_295


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """`port` 0 is the usual one. `trust` is an own certificate authority (a PEM file), "" for the
    system's. `renew_s`: IDLE is begun anew that often, and the mailbox looked at (servers end it
    after 30 minutes, some networks sooner); `poll_s` where there is no IDLE."""

    host: str
    user: str
    password: str
    port: int = 0
    encryption: Literal["tls", "starttls", "none"] = "tls"
    folder: str = "INBOX"
    trust: str = ""
    renew_s: float = 540.0
    poll_s: float = 60.0
    timeout_s: float = 60.0
    longest_wait_s: float = 300.0

    def __repr__(self) -> str:
        return f"Mailbox({self.host}:{self.port}, {self.encryption}, {self.folder})"


class _Lost(Exception):
    """The connection is of no more use; the text says why, without anybody's data."""


class ImapInbox:
    """Watches one folder until it is cancelled."""

    def __init__(self, mailbox: Mailbox, intake: MailIntake) -> None:
        self._mailbox = mailbox
        self._intake = intake
        self._validity = 0
        self._next_uid = 0
        self._taken: set[int] = set()
        self._failures: dict[int, int] = {}
        self._in_hand: Sequence[int] = ()
        self._is_behind = False
        self.is_connected = False
        self.error = ""
        """Why it is not connected, for the doctor and for people."""

    async def run(self) -> None:
        """Fetch what comes, for ever; a lost connection is made again, each time after longer."""
        wait = 1.0
        while True:
            try:
                await self._session()
            except (_Lost, OSError, TimeoutError, aioimaplib.AioImapException) as error:
                self.error = str(error) if isinstance(error, _Lost) else type(error).__name__
                log.warning("the mailbox is not connected: %s", self.error)
            # A mail at which a server breaks down, again and again, is left to people.
            self._failed(self._in_hand)
            self._in_hand = ()
            if self.is_connected:
                wait = 1.0
            self.is_connected = False
            # By chance, so that many do not come back at once.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(wait * 2, self._mailbox.longest_wait_s)

    # ---- a connection --------------------------------------------------------------------------

    async def _session(self) -> None:
        broken = asyncio.Event()
        box = self._mailbox
        client = aioimaplib.IMAP4(
            host=box.host,
            port=box.port or PORTS[box.encryption],
            timeout=box.timeout_s,
            conn_lost_cb=lambda _: broken.set(),
            ssl_context=self._context() if box.encryption == "tls" else None,
        )
        watching = asyncio.create_task(self._watch(client))
        lost = asyncio.create_task(broken.wait())
        try:
            # aioimaplib's own commands would wait for their time-out when the connection is gone.
            await asyncio.wait({watching, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not watching.done():
                raise _Lost("the server closed the connection")
            watching.result()
        finally:
            tasks = {watching, lost, client._client_task, *client.tasks, *client.protocol.tasks}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if client.protocol.transport is not None:
                client.protocol.transport.abort()

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._mailbox.trust or None)

    async def _watch(self, client: aioimaplib.IMAP4) -> None:
        await self._sign_in(client)
        await self._select(client)
        while True:
            while await self._look(client):
                pass
            can_idle = client.has_capability("IDLE")
            wait_s = self._mailbox.renew_s if can_idle else self._mailbox.poll_s
            if self._is_behind:
                wait_s = min(wait_s, _BEHIND_S)
            if can_idle:
                await self._idle(client, wait_s)
            else:
                await asyncio.sleep(wait_s)

    async def _sign_in(self, client: aioimaplib.IMAP4) -> None:
        box = self._mailbox
        await client.wait_hello_from_server()
        if box.encryption == "starttls":
            await self._start_tls(client)
        answer = await client.login(aioimaplib.quoted(box.user), box.password)
        if answer.result != "OK":
            raise _Lost("the server refuses the login")
        # What a server can do it may tell only after the login.
        await client.protocol.capability()

    async def _start_tls(self, client: aioimaplib.IMAP4) -> None:
        protocol = client.protocol
        command = aioimaplib.Command("STARTTLS", protocol.new_tag(), timeout=client.timeout)
        answer = await protocol.execute(command)
        if answer.result != "OK":
            raise _Lost("the server has no STARTTLS")
        # Whatever was sent before the encryption began was sent by anybody.
        protocol.incomplete_line = b""
        loop = asyncio.get_running_loop()
        protocol.transport = await loop.start_tls(
            protocol.transport, protocol, self._context(), server_hostname=self._mailbox.host
        )

    async def _select(self, client: aioimaplib.IMAP4) -> None:
        answer = await client.select(aioimaplib.quoted(self._mailbox.folder))
        if answer.result != "OK":
            raise _Lost("there is no such folder")
        said = b"\n".join(bytes(line) for line in answer.lines)
        validity = _number(rb"UIDVALIDITY (\d+)", said)
        if validity != self._validity:
            # The folder was made anew: its numbers say other mails now.
            self._validity, self._next_uid = validity, 0
            self._taken, self._failures = set(), {}
        # Without UIDNEXT only what is unread is taken.
        self._next_uid = self._next_uid or _number(rb"UIDNEXT (\d+)", said) or _HIGHEST_UID
        self.is_connected, self.error = True, ""

    async def _idle(self, client: aioimaplib.IMAP4, wait_s: float) -> None:
        """Wait until something comes, or it is time to look by ourselves."""
        idle = await client.idle_start(timeout=wait_s)
        try:
            news = await client.wait_server_push(timeout=wait_s + self._mailbox.timeout_s)
            while news != aioimaplib.STOP_WAIT_SERVER_PUSH and not _tells_of_mail(news):
                news = await client.wait_server_push(timeout=wait_s + self._mailbox.timeout_s)
        finally:
            client.idle_done()
        await asyncio.wait_for(idle, client.timeout)

    # ---- mails ---------------------------------------------------------------------------------

    async def _look(self, client: aioimaplib.IMAP4) -> bool:
        """Take what is unread or new; whether it is worth looking again at once."""
        unread = _numbers(await client.uid_search("UNSEEN", charset=None))
        # NOOP takes up what the server tells while it searches; it would be lost else.
        newer, noop = await asyncio.gather(
            client.uid_search(f"UID {self._next_uid}:*", charset=None), client.noop()
        )
        # "n:*" has the last mail even when it is older than n.
        found = {*unread, *(uid for uid in _numbers(newer) if uid >= self._next_uid)}
        waiting = sorted(uid for uid in found - self._taken if self._failures.get(uid, 0) < _TRIES)
        failed: list[int] = []
        for at in range(0, len(waiting), _BATCH):
            failed += await self._take(client, waiting[at : at + _BATCH])
        if len(failed) < len(waiting):
            # Others could be stored: it lies with these.
            self._failed(failed)
        if waiting:
            self._next_uid = max(self._next_uid, failed[0] if failed else waiting[-1] + 1)
        self._is_behind = bool(failed)
        return not failed and (bool(waiting) or _tells_of_mail(noop.lines))

    def _failed(self, uids: Sequence[int]) -> None:
        for uid in uids:
            self._failures[uid] = tries = self._failures.get(uid, 0) + 1
            if tries == _TRIES:
                log.error("mail %d of the mailbox is left there unread: it cannot be had", uid)

    async def _take(self, client: aioimaplib.IMAP4, uids: Sequence[int]) -> list[int]:
        """Store these mails, then mark them as read; those that could not be stored."""
        sizes = _sizes(await _lines(client.uid("fetch", _set(uids), "(UID RFC822.SIZE)")))
        failed = [uid for uid in uids if uid not in sizes]
        for group in self._groups([uid for uid in uids if uid in sizes], sizes):
            self._in_hand = group
            mails = await self._fetched(client, group)
            self._in_hand = ()
            stored: list[int] = []
            for uid in group:
                if uid not in mails:
                    failed.append(uid)
                    continue
                try:
                    await self._intake.take(mails[uid])
                except Exception as error:
                    # Unread, it comes again.
                    log.warning("a mail is not stored now: %s", type(error).__name__)
                    failed.append(uid)
                else:
                    stored.append(uid)
                    self._failures.pop(uid, None)
            if stored:
                answer = await client.uid("store", _set(stored), "+FLAGS.SILENT", r"(\Seen)")
                if answer.result != "OK":
                    # A folder that may only be read: what was taken is remembered here.
                    self._taken.update(stored)
        return sorted(failed)

    async def _fetched(self, client: aioimaplib.IMAP4, group: Sequence[int]) -> dict[int, bytes]:
        wanted = f"(UID BODY.PEEK[]<0.{LARGEST_MAIL + 1}>)"
        answer = await client.uid("fetch", _set(group), wanted)
        if answer.result == "OK":
            return _mails(answer.lines)
        if len(group) == 1:
            return {}
        # One of them is damaged: the others need not wait for it.
        return {
            uid: raw for one in group for uid, raw in (await self._fetched(client, [one])).items()
        }

    def _groups(self, uids: Sequence[int], sizes: Mapping[int, int]) -> Iterator[list[int]]:
        """In order, so many at a time as may be held in memory; what failed before is alone."""
        group: list[int] = []
        for uid in uids:
            held = sum(sizes[other] for other in group) + sizes[uid]
            if group and (held > _HELD_BYTES or {uid, group[0]} & self._failures.keys()):
                yield group
                group = []
            group.append(uid)
        if group:
            yield group


async def _lines(answer: Awaitable[aioimaplib.Response]) -> list[bytes | bytearray]:
    found = await answer
    if found.result != "OK":
        raise _Lost("the server does not give its mails")
    lines: list[bytes | bytearray] = found.lines
    return lines


def _numbers(answer: aioimaplib.Response) -> list[int]:
    if answer.result != "OK":
        raise _Lost("the server does not search")
    # The last line is the server's remark.
    lists = [bytes(line) for line in answer.lines[:-1] if re.fullmatch(rb"[\d ]*", line)]
    return [int(uid) for line in lists for uid in line.split()]


def _tells_of_mail(lines: Sequence[bytes]) -> bool:
    return any(re.match(rb"\d+ (EXISTS|RECENT)", line) for line in lines)


def _number(pattern: bytes, text: bytes) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _set(uids: Sequence[int]) -> str:
    return ",".join(map(str, uids))


def _sizes(lines: Sequence[bytes | bytearray]) -> dict[int, int]:
    return {
        uid: _number(rb"RFC822\.SIZE (\d+)", bytes(line))
        for line in lines
        if isinstance(line, bytes) and (uid := _number(rb"\bUID (\d+)", line))
    }


def _mails(lines: Sequence[bytes | bytearray]) -> dict[int, bytes]:
    """The mails of an answer to FETCH: a line, the mail itself as a bytearray, and what follows."""
    found: dict[int, bytes] = {}
    told, content = b"", b""
    for line in [*lines, b"0 FETCH ("]:
        if isinstance(line, bytearray):
            content = bytes(line)
        elif re.match(rb"\d+ FETCH \(", line):
            if (uid := _number(rb"\bUID (\d+)", told)) and b"BODY[]" in told:
                # Short ones may come in quotes instead.
                short = re.search(rb'BODY\[\](?:<0>)? "((?:[^"\\]|\\.)*)"', told)
                found[uid] = content or (short[1] if short else b"")
            told, content = bytes(line), b""
        else:
            told += b" " + bytes(line)
    return found
