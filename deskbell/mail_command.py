"""`deskbell mail`: a customer of the demo writes a mail, by SMTP as any mail server would.

Owns the mail that is written, and what is said of the answer to it.
"""

from __future__ import annotations

import mimetypes
import smtplib
from collections.abc import Sequence
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from pathlib import Path

from rich.console import Console

from crm_store.people.customers import mail_address
from deskbell import running_demo
from deskbell.failure import CommandFailed

LARGEST = 25_000_000


def send(sender: str, subject: str, text: str, attached: Sequence[Path], folder: Path) -> None:
    """Send the mail from that address to the demo kept in `folder`. Raises CommandFailed."""
    address = mail_address(sender)
    if address is None:
        raise CommandFailed(f"{sender!r} is no mail address, such as anna@example.com")
    demo = running_demo.running(folder)
    if not demo.mail_port:
        raise CommandFailed("the demo that runs here takes no mails; start it again")
    mail = _written(address, demo.mail_address, subject, text, attached)
    try:
        with smtplib.SMTP("127.0.0.1", demo.mail_port, "localhost", timeout=60) as server:
            server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        said = error.args[1] if isinstance(error, smtplib.SMTPResponseException) else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise CommandFailed(f"Deskbell did not take the mail: {said or error}") from error
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Sent from {address} to {demo.mail_address}.")
    console.print(f"It is in the inbox: {demo.url}/inbox")
    if demo.outside_url:
        console.print(f"Answers arrive in the customer's mailbox: {demo.outside_url}")


def _written(
    sender: str, to: str, subject: str, text: str, attached: Sequence[Path]
) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    try:
        mail["From"] = Address(addr_spec=sender)
        mail["To"] = Address(addr_spec=to)
        mail["Subject"] = " ".join(subject.split())
    except (ValueError, MessageError) as error:
        raise CommandFailed(f"no mail can be written so: {error}") from error
    mail["Date"] = localtime()
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail.set_content(text)
    for path in attached:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CommandFailed(f"{path} cannot be read: {error.strerror}") from error
        if len(content) > LARGEST:
            raise CommandFailed(f"{path} is larger than {LARGEST // 1_000_000} MB")
        kind, subtype = (mimetypes.guess_type(path.name)[0] or "application/octet-stream").split(
            "/", 1
        )
        mail.add_attachment(content, maintype=kind, subtype=subtype, filename=path.name)
    return mail
