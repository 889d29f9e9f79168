"""Faxes out of the spool into the story: with their call, without one, broken, and each once."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channels.attachments import AttachmentFiles
from channels.fax.fax_inbox import UNHEARD_SECONDS, FaxInbox, FaxSpool
from channels.fax.pages import Pages
from channels.inbox import Inbox
from crm_store.contacts import calls, conversations, faxes, messages
from crm_store.contacts.calls import CallRecord
from crm_store.contacts.conversations import ConversationRecord
from crm_store.contacts.messages import MessageRecord
from crm_store.database import Database
from crm_store.models import Call, CallState, Channel, ContactKind, Interaction
from crm_store.people import customers
from crm_store.people.customers import ContactWay, NewCustomer
from crm_store.people.phone_numbers import to_e164
from crm_store.signals import Direction
from tests.channels.fax.printed import SLIP, pages_of, reads, write_pdf

pytestmark = pytest.mark.db

FROM = "+862155550123"
LINKEDID = "1795324522.7"


class Machine:
    """A PBX's spool, what is live there, and the inbox that looks at it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.spool = folder / "fax"
        self.spool.mkdir()
        self.live: set[str] = set()
        self.folder = folder
        self.files = AttachmentFiles(folder / "attachments")
        self.inbox = self.new_inbox()

    def new_inbox(self) -> FaxInbox:
        """As after a restart of the service."""
        return FaxInbox(
            Inbox(self.database, self.files),
            self.database,
            FaxSpool(pbx="main", folder=self.spool, is_live=self.live.__contains__),
            pages=Pages(),
            to_number=lambda caller: to_e164(caller, "CN"),
        )

    async def arrives(
        self, *words: str, linkedid: str = LINKEDID, caller: str = FROM, minutes_ago: int = 10
    ) -> Path:
        """The PBX has written a fax, so long ago."""
        write_pdf(self.folder / "sent.pdf", *words, size=SLIP)
        file = self.spool / f"{linkedid}_{caller}.tif"
        await Pages().to_fax(self.folder / "sent.pdf", file)
        moment = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).timestamp()
        os.utime(file, (moment, moment))
        return file

    async def calls(self, linkedid: str = LINKEDID, state: CallState = CallState.ENDED) -> None:
        """The journal has written the call."""
        record = CallRecord(
            pbx="main",
            linkedid=linkedid,
            state=state,
            direction=Direction.INBOUND,
            caller=FROM,
            callee="698",
            number=FROM,
        )
        await self.database.run(lambda tx: calls.record_calls(tx, [record]))

    async def told(self, pages: int, linkedid: str = LINKEDID) -> None:
        """The journal has heard that so many pages have arrived."""
        await self.database.run(lambda tx: faxes.receive(tx, "main", linkedid, pages))

    async def only_message(self) -> tuple[MessageRecord, ConversationRecord]:
        found = await messages.known(self.database, Channel.FAX, f"main {LINKEDID}")
        assert found is not None
        message = await messages.find(self.database, found[0])
        conversation = await conversations.find(self.database, found[1])
        assert message is not None
        assert conversation is not None
        return message, conversation

    def spooled(self) -> list[str]:
        return sorted(file.name for file in self.spool.iterdir())


@pytest.fixture
def machine(database: Database, tmp_path: Path) -> Machine:
    return Machine(database, tmp_path)


async def test_a_fax_is_a_message_with_a_pdf_in_its_call_s_interaction(machine: Machine) -> None:
    async with machine.database.transaction() as transaction:
        lin = await customers.create(
            transaction,
            NewCustomer("Lin", contact_points=[ContactWay(ContactKind.FAX, FROM)]),
            actor="test",
        )
    await machine.arrives("INVOICE", "PARCEL", minutes_ago=0)
    await machine.calls(state=CallState.LIVE)
    machine.live.add(LINKEDID)
    assert await machine.inbox.look() == 0, "it is still being received"
    await machine.told(2)
    assert await machine.inbox.look() == 1
    message, conversation = await machine.only_message()
    assert (message.sender, message.text, message.problems) == (FROM, "2 p.", [])
    (file,) = message.files
    assert (file.media_type, file.reason) == ("application/pdf", "")
    first, second = pages_of(machine.files.path(file.file))
    assert reads(first, "INVOICE", "PARCEL", size=SLIP)
    assert reads(second, "PARCEL", "INVOICE", size=SLIP)
    assert conversation.customer_id == lin
    found = await faxes.interaction_of(machine.database, "main", LINKEDID)
    assert found == (conversation.interaction_id, True)
    assert machine.spooled() == []
    assert await machine.inbox.look() == 0


async def test_a_service_that_was_away_finds_it_by_its_file_alone(machine: Machine) -> None:
    await machine.arrives("INVOICE")
    assert await machine.inbox.look() == 1
    message, conversation = await machine.only_message()
    assert (message.sender, conversation.address) == (FROM, FROM)
    assert message.at < datetime.now(UTC) - timedelta(minutes=9), "when it came, not when found"


async def test_a_call_that_is_not_in_the_store_yet_is_waited_for(machine: Machine) -> None:
    file = await machine.arrives("INVOICE", minutes_ago=0)
    assert await machine.inbox.look() == 0
    old = datetime.now(UTC).timestamp() - UNHEARD_SECONDS - 1
    os.utime(file, (old, old))
    assert await machine.inbox.look() == 1


async def test_a_call_whose_fax_nobody_heard_of_becomes_one_by_its_file(machine: Machine) -> None:
    """The service died while pages came in, and Asterisk went on."""
    await machine.arrives("INVOICE")
    await machine.calls()
    assert await machine.inbox.look() == 1
    _, conversation = await machine.only_message()
    async with machine.database.reading() as session:
        interaction = await session.get(Interaction, conversation.interaction_id)
        assert interaction is not None
        assert (interaction.channel, interaction.summary) == (Channel.FAX, "1 p.")
        call = await session.get(Call, interaction.call_id)
        assert call is not None
        assert call.linkedid == LINKEDID


async def test_killed_between_the_store_and_the_spool_it_is_kept_once(machine: Machine) -> None:
    file = await machine.arrives("INVOICE")
    content = file.read_bytes()
    assert await machine.inbox.look() == 1
    file.write_bytes(content)
    os.utime(file, (0, 0))
    assert await machine.new_inbox().look() == 0
    assert machine.spooled() == []


async def test_a_spool_that_cannot_be_written_to_is_read_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await machine.arrives("INVOICE")
    refused: list[Path] = []

    def refuse(path: Path, **_: object) -> None:
        refused.append(path)
        raise PermissionError(13, "Permission denied")

    # Root, as whom tests may run, can delete anything.
    monkeypatch.setattr(Path, "unlink", refuse)
    assert await machine.inbox.look() == 1
    assert await machine.inbox.look() == 0
    assert refused == [file]


@pytest.mark.parametrize("content", [b"", b"II*\0garbage", os.urandom(5_000)])
async def test_what_cannot_be_read_is_told_and_kept_raw(machine: Machine, content: bytes) -> None:
    file = machine.spool / f"{LINKEDID}_{FROM}.tif"
    file.write_bytes(content)
    os.utime(file, (0, 0))
    assert await machine.inbox.look() == 1
    message, _ = await machine.only_message()
    assert message.files == []
    assert message.problems
    assert bool(message.raw_file) == bool(content)
    assert machine.spooled() == []


async def test_withheld_numbers_are_not_one_person(machine: Machine) -> None:
    await machine.arrives("ONE", caller="", linkedid="1.1")
    await machine.arrives("TWO", caller="", linkedid="1.2")
    assert await machine.inbox.look() == 2
    found = [await messages.known(machine.database, Channel.FAX, f"main 1.{n}") for n in (1, 2)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0][1] != found[1][1]


async def test_other_files_are_left_alone(machine: Machine) -> None:
    for name in ("notes.txt", "..tif", "a b_1.tif", f"{'9' * 300}"[:200] + "_x.tif"):
        (machine.spool / name).write_bytes(b"x")
    assert await machine.inbox.look() == 0
    assert len(machine.spooled()) == 4
