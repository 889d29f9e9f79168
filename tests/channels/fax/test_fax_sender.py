"""The fax sender: what becomes of a message by how its calls end, and how often there are calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.fax.fax_sender import MOST_CALLS_WITHOUT_MACHINE, WAITS_SECONDS, FaxSender, key_of
from channels.fax.pages import Pages
from channels.senders import Accepted, NotNow, Outgoing, OutgoingFile, Refused
from crm_store.contacts.faxes import FaxOutcome, FaxReport
from crm_store.models import Channel
from tests.channels.fax.printed import SLIP, write_pdf

pytestmark = pytest.mark.unit

TO = "+862155550199"


def message_of(*files: Path, media_type: str = "application/pdf") -> Outgoing:
    return Outgoing(
        id=7,
        channel=Channel.FAX,
        to=TO,
        text="",
        idempotency_key="answer 7",
        files=[OutgoingFile(name=file.name, media_type=media_type, path=file) for file in files],
    )


class Line:
    """The telephone line as the test wants it; what was asked of it, and what lay in the spool."""

    def __init__(self, spool: Path, outcomes: Sequence[FaxOutcome]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._spool = spool
        self._outcomes = list(outcomes)

    async def __call__(self, key: str, to: str) -> FaxReport:
        assert (self._spool / f"{key}.tif").stat().st_size > 100
        self.asked.append((key, to))
        return FaxReport(outcome=self._outcomes.pop(0), pages=2)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    write_pdf(tmp_path / "in.pdf", "INVOICE", size=SLIP)
    return tmp_path / "in.pdf"


def sender_of(folder: Path, call: Callable[[str, str], Awaitable[FaxReport]]) -> FaxSender:
    return FaxSender(call, pages=Pages(), spool=folder / "spool")


def spooled(folder: Path) -> list[str]:
    return [file.name for file in (folder / "spool").iterdir()]


async def test_a_fax_that_arrived_is_accepted_and_leaves_the_spool(
    tmp_path: Path, document: Path
) -> None:
    line = Line(tmp_path / "spool", [FaxOutcome.SENT])
    message = message_of(document)
    assert await sender_of(tmp_path, line).send(message) == Accepted(
        provider_id=f"fax {key_of(message)}", segments=2
    )
    assert line.asked == [(key_of(message), TO)]
    assert spooled(tmp_path) == []


async def outcomes_of(sender: FaxSender, message: Outgoing, most: int) -> list[str]:
    """What the sender says, try after try, until it is final."""
    said = []
    for _ in range(most):
        try:
            await sender.send(message)
        except NotNow as later:
            said.append(f"in {later.wait_s:g}")
        except Refused as refused:
            return [*said, "bad address" if refused.bad_address else "refused"]
        else:
            return [*said, "sent"]
    return said


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([FaxOutcome.BUSY] * 5, [*(f"in {wait:g}" for wait in WAITS_SECONDS), "refused"]),
        ([FaxOutcome.NO_ANSWER, FaxOutcome.BROKEN, FaxOutcome.SENT], ["in 60", "in 180", "sent"]),
        ([FaxOutcome.NO_FAX_MACHINE] * MOST_CALLS_WITHOUT_MACHINE, ["in 60", "refused"]),
        ([FaxOutcome.WRONG_NUMBER], ["bad address"]),
        ([FaxOutcome.LOST], ["refused"]),
        ([FaxOutcome.NO_LINE] * 9 + [FaxOutcome.SENT], ["in 60"] * 9 + ["sent"]),
    ],
    ids=["engaged", "broken, then sent", "a person", "no such number", "lost", "no line"],
)
async def test_calls_are_tried_again_as_their_end_says(
    tmp_path: Path, document: Path, outcomes: list[FaxOutcome], said: list[str]
) -> None:
    line = Line(tmp_path / "spool", outcomes)
    assert await outcomes_of(sender_of(tmp_path, line), message_of(document), 10) == said
    assert spooled(tmp_path) == []
    assert len({key for key, _ in line.asked}) == 1


@pytest.mark.parametrize("name", ["picture", "nothing", "two", "noise"])
async def test_only_one_readable_pdf_is_a_fax(tmp_path: Path, document: Path, name: str) -> None:
    noise = tmp_path / "noise.pdf"
    noise.write_bytes(b"%PDF-1.4 and nothing more")
    message = {
        "picture": message_of(document, media_type="image/png"),
        "nothing": message_of(),
        "two": message_of(document, document),
        "noise": message_of(noise),
    }[name]
    line = Line(tmp_path / "spool", [])
    with pytest.raises(Refused):
        await sender_of(tmp_path, line).send(message)
    assert line.asked == []
    assert spooled(tmp_path) == []


async def test_a_long_fax_goes_on_and_is_asked_for_again(
    tmp_path: Path, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.fax.fax_sender.LONGEST_LOOK_SECONDS", 0.05)
    arrived = asyncio.Event()

    async def call(_key: str, _to: str) -> FaxReport:
        await arrived.wait()
        return FaxReport(outcome=FaxOutcome.SENT, pages=90)

    sender = sender_of(tmp_path, call)
    with pytest.raises(NotNow) as later:
        await sender.send(message_of(document))
    assert later.value.why == "it is being sent"
    assert spooled(tmp_path) == [f"{key_of(message_of(document))}.tif"]
    arrived.set()
    assert (await sender.send(message_of(document))).segments == 90


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
@settings(max_examples=50)
def test_two_faxes_never_have_one_key(both: list[tuple[str, str]]) -> None:
    keys = {
        key_of(Outgoing(id=1, channel=Channel.FAX, to=to, text="", idempotency_key=key))
        for key, to in both
    }
    assert len(keys) == 2
