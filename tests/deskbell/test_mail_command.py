"""`deskbell mail`, against the inbox that a demo has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.incoming import Incoming, Received
from channels.mail.intake import MailIntake
from channels.mail.smtp_inbox import SmtpInbox
from crm_store.database import Database
from deskbell import mail_command, running_demo
from deskbell.failure import CommandFailed
from deskbell.running_demo import Demo

pytestmark = pytest.mark.db

SHOP = "service@mall.example"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A demo's folder, held as by a demo that runs."""
    lock = running_demo.hold(tmp_path)
    assert lock is not None
    yield tmp_path
    lock.close()


def written(folder: Path, port: int) -> None:
    demo = Demo(
        pid=1,
        url="http://127.0.0.1:1",
        config="",
        sip_address="",
        sip_port=0,
        trunk_address="",
        trunk_port=0,
        http_port=1,
        mail_address=SHOP,
        mail_port=port,
    )
    running_demo.write(demo, folder)


async def test_a_mail_with_a_file_comes_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came: list[Incoming] = []

    async def receive(incoming: Incoming) -> Received:
        came.append(incoming)
        return Received(1, 1, True)

    # Only reports of mail servers ask the store.
    store = Database(f"sqlite:///{folder}/empty.db")
    inbox = SmtpInbox(MailIntake(receive, store, our_addresses=[SHOP]))
    await inbox.start()
    try:
        written(folder, inbox.port)
        (folder / "照片.txt").write_text("red")
        await asyncio.to_thread(
            mail_command.send,
            "Anna@customers.example",
            "大衣",
            "有蓝色的吗？",
            [folder / "照片.txt"],
            folder,
        )
        with pytest.raises(CommandFailed, match="no mail address"):
            mail_command.send("nobody", "", "x", [], folder)
        with pytest.raises(CommandFailed, match="cannot be read"):
            mail_command.send("a@b.example", "", "x", [folder / "gone"], folder)
    finally:
        await inbox.stop()
        await store.close()
    assert [(mail.sender, mail.subject, mail.text) for mail in came] == [
        ("anna@customers.example", "大衣", "有蓝色的吗？")
    ]
    assert [(file.name, file.content) for file in came[0].files] == [("照片.txt", b"red")]
    assert "http://127.0.0.1:1/inbox" in capsys.readouterr().out


def test_no_demo_takes_mails(folder: Path, unused_tcp_port: int) -> None:
    written(folder, 0)
    with pytest.raises(CommandFailed, match="takes no mails"):
        mail_command.send("a@b.example", "x", "x", [], folder)
    written(folder, unused_tcp_port)
    with pytest.raises(CommandFailed, match="did not take"):
        mail_command.send("a@b.example", "x", "x", [], folder)
