"""A customer's data: taken along whole, and erased after a code; never without one."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent_desk.hall.erased_files import HANDLER
from agent_desk.hall.export_archive import ArchivedFile, write_archive
from channels.attachments import AttachmentFiles
from channels.incoming import Incoming, IncomingFile
from crm_store import audit, jobs
from crm_store.models import Channel
from crm_store.people import customers
from tests.agent_desk.conftest import CARD_NUMBER, RunningDesk
from tests.agent_desk.hall.conftest import Guest, codes_sent

pytestmark = pytest.mark.db


async def export_of(guest: Guest) -> zipfile.ZipFile:
    data = {"csrf_token": await guest.csrf()}
    async with guest.http.post("/hall/privacy/export", data=data) as response:
        assert response.status == 200
        assert response.content_type == "application/zip"
        assert response.headers["Cache-Control"] == "no-store"
        return zipfile.ZipFile(io.BytesIO(await response.read()))


async def test_the_export_is_whole_for_people_and_machines(wang: Guest, desk: RunningDesk) -> None:
    await wang.send("/hall/complaints", category="staff", subject="", text="</script><b>Rude")
    archive = await export_of(wang)
    assert archive.testzip() is None
    data = json.loads(archive.read("data.json"))
    text = json.dumps(data, ensure_ascii=False)
    for own in ("王芳", "+8613800138000", "wang@example.org", CARD_NUMBER, "Rude"):
        assert own in text
    for others in ("García", "+34912345678", "csrf_token", "token_hash"):
        assert others not in text
    page = archive.read("index.html").decode()
    assert "&lt;b&gt;Rude" in page
    assert "<b>Rude" not in page
    [entry, *_] = await audit.entries(desk.database, actor="hall", limit=1)
    assert (entry.action, entry.subject_id) == ("exported", str(desk.customers["wang"]))


def test_files_go_along_under_names_that_lead_nowhere(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"a receipt")
    names = ("../../etc/passwd", "C:\\x.txt", "quittung 1.pdf", "..", "\u202egpj.exe", "x" * 300)
    files = [ArchivedFile(kept, name) for name in names]
    archive, size = write_archive({}, "", [*files, ArchivedFile(tmp_path / "gone", "gone")])
    with archive, zipfile.ZipFile(archive) as zipped:
        found = [name for name in zipped.namelist() if name.startswith("files/")]
        assert len(found) == len(names)
        for name in found:
            inside = name.removeprefix("files/")
            assert "/" not in inside
            assert "\\" not in inside
            assert len(inside) < 100
            assert zipped.read(name) == b"a receipt"
    assert size > 0


async def _file_of(desk: RunningDesk, name: str) -> Path:
    """A file that this customer sent with a message."""
    files = AttachmentFiles(desk.parts.hall.attachments_folder or Path())
    incoming = Incoming(
        channel=Channel.WEB,
        external_key=name,
        sender=str(desk.customers[name]),
        customer_id=desk.customers[name],
        received_at=datetime.now(UTC),
        text="Here it is.",
        files=[IncomingFile(name="receipt.txt", media_type="text/plain", content=name.encode())],
    )
    await desk.parts.hall.receive(incoming)
    return files.path((await files.keep([("receipt.txt", name.encode())]))[0].file)


async def test_who_is_erased_is_gone_after_a_code_and_a_tick(
    wang: Guest, desk: RunningDesk
) -> None:
    elsewhere = Guest(desk)
    await elsewhere.let_in("wang")
    assert (await wang.get("/hall/privacy/erase")) == (303, "/hall/privacy")
    assert await wang.send("/hall/privacy/erase") == (303, "/hall/privacy/erase")
    [(to, code)] = await codes_sent(desk)
    assert to == "+8613800138000"
    page = (await wang.get("/hall/privacy/erase"))[1]
    assert "cannot be undone" in page
    own, others = await _file_of(desk, "wang"), await _file_of(desk, "garcia")
    path = "/hall/privacy/erase/confirm"
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert (await wang.send(path, code=wrong, sure="1"))[0] == 400
    # Not sure: the code is not used up.
    assert (await wang.send(path, code=code))[0] == 400
    assert (await wang.get("/hall/me"))[0] == 200
    assert await wang.send(path, code=code, sure="1") == (303, "/hall?done=erased")
    for one in (wang, elsewhere):
        assert (await one.get("/hall/me"))[0] == 303
    assert await customers.find_by_phone(desk.database, "+8613800138000") == []
    async with desk.database.transaction() as transaction:
        [job] = await jobs.claim(transaction.session, "me", [HANDLER], 5, timedelta(minutes=1))
    subscriber = desk.database.subscribers.named(HANDLER)
    assert subscriber is not None
    await subscriber.handler(job)
    assert (own.exists(), others.exists()) == (False, True)
    await elsewhere.http.close()
    # And the number is free for whoever has it next.
    await wang.send("/hall/join", name="Somebody", address="+8613800138000")
    *_, (_, code) = await codes_sent(desk)
    assert (await wang.send("/hall/sign-in/code", code=code))[0] == 303
    assert "Somebody" in (await wang.get("/hall/me"))[1]


async def test_another_customer_cannot_confirm_it(
    wang: Guest, garcia: Guest, desk: RunningDesk
) -> None:
    await wang.send("/hall/privacy/erase")
    [(_, code)] = await codes_sent(desk)
    cookies = wang.http.cookie_jar.filter_cookies(desk.url / "hall")
    asked = {"deskbell_hall_asked": cookies["deskbell_hall_asked"].value}
    garcia.http.cookie_jar.update_cookies(asked, desk.url / "hall")
    sent = await garcia.send("/hall/privacy/erase/confirm", code=code, sure="1")
    assert sent == (303, "/hall/privacy")
    for name in ("wang", "garcia"):
        assert (await customers.card(desk.database, desk.customers[name])) is not None
    assert (await wang.get("/hall/me"))[0] == 200


async def test_a_code_to_sign_in_erases_nobody(wang: Guest, desk: RunningDesk) -> None:
    stranger = Guest(desk)
    await wang.send("/hall/privacy/erase")
    await stranger.send("/hall/sign-in", address="+8613800138000")
    codes = [code for _, code in await codes_sent(desk)]
    path = "/hall/privacy/erase/confirm"
    if codes[0] != codes[1]:
        assert (await wang.send(path, code=codes[1], sure="1"))[0] == 400
    assert (await wang.get("/hall/me"))[0] == 200
    await stranger.http.close()
