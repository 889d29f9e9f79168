"""The page of the outside world: what a customer has in their hands. A telephone with SMS, one with
WhatsApp, and a mailbox; in each of them they can write back.

Owns what the page shows and takes. It is for the person before this machine: other sites' pages
and other names of this address are refused.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosmtplib
import jinja2
import orjson
from aiohttp import ClientError, web

from agent_desk.languages import Language, accepted_languages, chosen
from agent_desk.static_files import STATIC_FOLDER
from deskbell.outside.mailbox import MailboxMail
from deskbell.outside.twilio import OutsideMessage

if TYPE_CHECKING:
    from deskbell.outside.world import OutsideCustomer, OutsideWorld

log = logging.getLogger(__name__)

FOLDER = Path(__file__).with_name("page")
HEADER = "X-Outside-World"
"""Sent by the page's own script; another site's page cannot send it."""

LONGEST_TEXT = 10_000
SHOWN = 200

_FILES = {
    "page.css": (FOLDER / "page.css", "text/css"),
    "page.js": (FOLDER / "page.js", "text/javascript"),
    "tokens.css": (STATIC_FOLDER / "tokens.css", "text/css"),
}
_POLICY = (
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


def add_routes(app: web.Application, world: OutsideWorld) -> None:
    """The page's routes, at the root of the application."""
    pages = _Pages(world)
    app.router.add_get("/", pages.show)
    app.router.add_get("/page/{name}", pages.show_file)
    app.router.add_get("/customers/{place}", pages.show_customer)
    app.router.add_post("/customers/{place}/write", pages.write)
    app.router.add_post("/sms", pages.send_sms)


class _Pages:
    def __init__(self, world: OutsideWorld) -> None:
        self._world = world
        self._template = jinja2.Environment(autoescape=True).from_string(
            (FOLDER / "page.html").read_text(encoding="utf-8")
        )

    async def show(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        _ = chosen(None, None, accepted_languages(request.headers.get("Accept-Language", "")))
        text = self._template.render(
            _=_, language=_, customers=self._world.customers, words=_words(_)
        )
        return web.Response(
            text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY}
        )

    async def show_file(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        found = _FILES.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return web.FileResponse(found[0], headers={"Content-Type": f"{found[1]}; charset=utf-8"})

    async def show_customer(self, request: web.Request) -> web.StreamResponse:
        """What the customer has; 204 if nothing is new since `version`."""
        self._check(request)
        customer = self._customer(request)
        if request.query.get("version") == str(self._world.version):
            return web.Response(status=204)
        return _json(self._shown(customer))

    async def write(self, request: web.Request) -> web.StreamResponse:
        """The customer writes: {"by", "text", "subject", "answers"}; by sms, whatsapp or mail."""
        self._check(request)
        if HEADER not in request.headers:
            raise web.HTTPForbidden
        customer = self._customer(request)
        try:
            wish = orjson.loads(await request.read())
            text, by = str(wish["text"])[:LONGEST_TEXT], str(wish["by"])
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest from None
        if not text.strip():
            raise web.HTTPBadRequest
        try:
            answered = await self._send(customer, by, text, wish)
        except (ClientError, OSError, TimeoutError, aiosmtplib.SMTPException) as error:
            log.warning("a customer's message did not arrive: %s", type(error).__name__)
            answered = 502
        return _json({"status": answered}, 200 if answered // 100 == 2 else 502)

    async def send_sms(self, request: web.Request) -> web.StreamResponse:
        """Anybody writes an SMS: {"sender", "text"}, for `deskbell sms`."""
        self._check(request)
        if HEADER not in request.headers:
            raise web.HTTPForbidden
        try:
            wish = orjson.loads(await request.read())
            sender, text = str(wish["sender"])[:40], str(wish["text"])[:LONGEST_TEXT]
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest from None
        try:
            answered = await self._world.twilio.customer_writes(
                sender, self._world.sms_number, text
            )
        except (ClientError, OSError, TimeoutError):
            answered = 502
        return _json({"status": answered}, 200 if answered // 100 == 2 else 502)

    async def _send(self, customer: OutsideCustomer, by: str, text: str, wish: Any) -> int:
        world = self._world
        if by == "sms":
            return await world.twilio.customer_writes(customer.number, world.sms_number, text)
        if by == "whatsapp":
            return await world.twilio.customer_writes(
                f"whatsapp:{customer.number}",
                f"whatsapp:{world.whatsapp_number}",
                text,
                name=customer.name,
            )
        if by != "mail":
            raise web.HTTPBadRequest
        answers = world.mailbox.find(str(wish.get("answers", "")))
        subject = str(wish.get("subject", ""))[:200]
        if answers is not None and not subject:
            subject = answers.subject
            subject = subject if subject.lower().startswith("re:") else f"Re: {subject}"
        await world.mailbox.customer_writes(
            customer.mail,
            world.mail_address,
            subject=" ".join(subject.split()),
            text=text,
            answers=answers,
            sender_name=customer.name,
        )
        return 250

    def _shown(self, customer: OutsideCustomer) -> dict[str, Any]:
        world = self._world
        return {
            "version": world.version,
            "sms": self._messages(customer.number),
            "whatsapp": self._messages(f"whatsapp:{customer.number}"),
            "mails": [
                _mail(mail)
                for mail in world.mailbox.mails[::-1]
                if mail.owner == customer.mail.lower()
            ][:SHOWN],
            "has": {
                "sms": bool(world.sms_number and customer.number),
                "whatsapp": bool(world.whatsapp_number and customer.number),
                "mail": bool(world.mail_address and customer.mail),
            },
        }

    def _messages(self, address: str) -> list[dict[str, Any]]:
        if not address.removeprefix("whatsapp:"):
            return []
        found = [one for one in self._world.twilio.messages if address in (one.sender, one.to)]
        for one in found:
            if one.to == address and address.startswith("whatsapp:"):
                # Whoever looks at the page has read it.
                self._world.twilio.read_by_customer(one.sid)
        return [_message(one, address) for one in found[-SHOWN:]]

    def _customer(self, request: web.Request) -> OutsideCustomer:
        place = request.match_info["place"]
        if not (
            place.isascii() and place.isdigit() and int(place[:6]) < len(self._world.customers)
        ):
            raise web.HTTPNotFound
        return self._world.customers[int(place)]

    def _check(self, request: web.Request) -> None:
        # Another name that leads to this machine is somebody else's page that asks.
        if f"http://{request.host}" != self._world.page_url:
            raise web.HTTPForbidden


def _message(message: OutsideMessage, address: str) -> dict[str, Any]:
    return {
        "mine": message.sender == address,
        "text": message.body,
        "status": message.status,
        "files": len(message.files),
        "at": message.at.timestamp(),
    }


def _mail(mail: MailboxMail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "mine": mail.is_sent,
        "who": str(mail.message["To" if mail.is_sent else "From"] or ""),
        "subject": mail.subject,
        "text": mail.text,
        "files": [part.get_filename() or "" for part in mail.message.iter_attachments()],
        "at": mail.at.timestamp(),
    }


def _words(_: Language) -> dict[str, str]:
    """What the page's script says."""
    return {
        "nothing": _("Nothing has come yet."),
        "failed": _("It did not arrive. Is Deskbell running?"),
        "sent_by_you": _("You"),
        "answer": _("Reply"),
        "new_mail": _("Write a mail"),
        "file": _("with a file"),
        "read": _("read"),
        "delivered": _("delivered"),
        "undelivered": _("not delivered"),
        "failed_status": _("not delivered"),
        "sent": _("on its way"),
        "queued": _("on its way"),
    }


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(content), status=status, content_type="application/json", charset="utf-8"
    )
