"""Faxes of ours over real modems: one Asterisk calls, another receives, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from channels.fax.pages import Pages
from crm_store.bus import Bus
from crm_store.contacts.faxes import FaxOutcome, FaxReport, read_file_name
from cti.faxes.fax_calls import FaxCalls, FaxLine
from cti.switchboard import AmiAddress, Switchboard
from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, pbx, sip_network
from tests.channels.fax.printed import SLIP, pages_of, reads, write_pdf
from tests.cti.faxes.two_machines import (
    LINE,
    OURS,
    THEIR_STATION,
    THEIRS,
    TwoMachines,
    two_machines,
    watched,
)

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(300)]
__all__ = ["pbx", "sip_network"]

KEY = "0123456789abcdef"


async def put_pages(machines: TwoMachines, folder: Path, *words: str) -> None:
    write_pdf(folder / "in.pdf", *words, size=SLIP)
    await Pages().to_fax(folder / "in.pdf", machines.put(KEY))


async def is_arriving(machines: TwoMachines) -> None:
    """Return when a page of ours is on its way."""
    async with asyncio.timeout(60):
        while not any(file.stat().st_size for file in machines.arrived()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def read_of(file: Path, folder: Path, *words: str) -> bool:
    """Whether the received file has just these words, one a page."""
    await Pages().to_pdf(file, folder / "out.pdf")
    pages = pages_of(folder / "out.pdf")
    return len(pages) == len(words) and all(
        reads(page, word, "NOTHING", "PICTURE", size=SLIP)
        for page, word in zip(pages, words, strict=True)
    )


async def test_pages_arrive_by_t38_and_are_not_sent_again(tmp_path: Path) -> None:
    async with two_machines(tmp_path) as machines:
        await put_pages(machines, tmp_path, "INVOICE", "PARCEL")
        report = await machines.board.faxes.send(LINE, key=KEY, to=THEIRS)
        assert (report.outcome, report.pages, report.mode) == (FaxOutcome.SENT, 2, "T38")
        assert report.station == THEIR_STATION
        assert report.rate >= 9_600
        (file,) = machines.arrived()
        named = read_file_name(file.name)
        assert named is not None
        assert named.caller == OURS
        assert await read_of(file, tmp_path, "INVOICE", "PARCEL")
        # Fax calls are no calls between people: the floor and the journal hear nothing of them.
        assert machines.board.live_calls() == []
        assert await machines.board.faxes.send(LINE, key=KEY, to=THEIRS) == report
        assert machines.arrived() == [file]


async def test_by_g711_while_deskbell_dies_and_comes_back(tmp_path: Path) -> None:
    async with two_machines(tmp_path) as machines:
        await put_pages(machines, tmp_path, "RECEIPT")
        line = replace(LINE, t38=False)
        first = asyncio.create_task(machines.board.faxes.send(line, key=KEY, to=THEIRS))
        await is_arriving(machines)
        await machines.board.close()
        with pytest.raises(asyncio.CancelledError):
            await first
        async with watched(machines.ours) as board:
            report = await board.faxes.send(line, key=KEY, to=THEIRS)
        assert (report.outcome, report.pages, report.mode) == (FaxOutcome.SENT, 1, "audio")
        (file,) = machines.arrived()
        assert await read_of(file, tmp_path, "RECEIPT")


async def test_asterisk_dies_while_sending_and_the_fax_is_sent_once_more(tmp_path: Path) -> None:
    async with two_machines(tmp_path) as machines:
        await put_pages(machines, tmp_path, "TICKET")
        sending = asyncio.create_task(machines.board.faxes.send(LINE, key=KEY, to=THEIRS))
        await is_arriving(machines)
        await machines.ours.kill()
        report = await sending
        assert (report.outcome, report.pages) == (FaxOutcome.SENT, 1)
        broken, whole = machines.arrived()
        assert await read_of(whole, tmp_path, "TICKET"), broken


async def test_a_fax_that_asterisk_died_with_twice_is_nobody_s_knowledge(pbx: SharedPbx) -> None:
    async with watched(pbx.embedded) as board:
        await pbx.console(f'database put fax {KEY} "sending|2"')
        report = await board.faxes.send(LINE, key=KEY, to=THEIRS)
        assert report.outcome is FaxOutcome.LOST
        assert "0 results" in await pbx.console(f"database show fax {KEY}")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (486, FaxOutcome.BUSY),
        (480, FaxOutcome.NO_ANSWER),
        (500, FaxOutcome.NO_LINE),
    ],
)
async def test_a_call_that_nobody_takes_is_told_by_its_cause(
    pbx: SharedPbx, sip_network: SipNetwork, code: int, outcome: FaxOutcome
) -> None:
    subscriber = await sip_network.subscriber(answer_after=None)
    async with watched(pbx.embedded) as board:
        sending = asyncio.create_task(board.faxes.send(LINE, key=KEY, to=THEIRS))
        await subscriber.refuse(code=code)
        assert (await sending).outcome is outcome


async def test_a_person_who_answers_and_hangs_up_is_no_fax_machine(
    pbx: SharedPbx, sip_network: SipNetwork, tmp_path: Path
) -> None:
    write_pdf(tmp_path / "in.pdf", "HELLO", size=SLIP)
    await Pages().to_fax(tmp_path / "in.pdf", pbx.embedded.folder / f"spool/fax-out/{KEY}.tif")
    subscriber = await sip_network.subscriber(answer_after=None)
    async with watched(pbx.embedded) as board:
        sending = asyncio.create_task(board.faxes.send(LINE, key=KEY, to=THEIRS))
        call = await subscriber.answer()
        await call.hang_up()
        report = await sending
    assert (report.outcome, report.pages, report.station) == (FaxOutcome.NO_FAX_MACHINE, 0, "")


async def test_without_a_pbx_there_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cti.faxes.fax_calls.LINK_SECONDS", 0.1)
    nowhere = AmiAddress(host="127.0.0.1", port=9, user="nobody", secret="nothing")
    board = Switchboard("main", nowhere, Bus())
    await board.start()
    try:
        report = await board.faxes.send(LINE, key=KEY, to=THEIRS)
    finally:
        await board.close()
    assert report == FaxReport(outcome=FaxOutcome.NO_LINE, said="the PBX is away")


@pytest.mark.parametrize(
    ("key", "to"),
    [("../../etc", THEIRS), (KEY, "110&PJSIP/1001"), (KEY, "+86\r\nAction: Logoff"), ("", "1")],
)
async def test_what_is_no_key_or_number_is_never_dialled(key: str, to: str) -> None:
    board = Switchboard("main", AmiAddress(host="127.0.0.1", port=9, user="", secret=""), Bus())
    with pytest.raises(ValueError, match="key and a number"):
        await FaxCalls(board.link).send(FaxLine(trunk="PJSIP/trunk"), key=key, to=to)
