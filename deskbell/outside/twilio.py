"""An imitation of Twilio's HTTP API for messages, with its signed webhooks.

Owns what Twilio would: accounts' credentials, message SIDs, the errors of its magic test numbers,
the states of a message and who is told of them. What it says of itself is Twilio's published API;
it carries nothing to any telephone. Knows no part of Deskbell but how segments are counted.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from twilio.request_validator import RequestValidator

from channels.sms.segments import split

log = logging.getLogger(__name__)

ACCOUNT = "AC" + "0" * 32
"""The demo's account."""

API = "/2010-04-01/Accounts"
KEPT = 5_000
"""So many messages are kept; the oldest go."""

LONGEST_BODY = 1_600
SESSION_WINDOW = timedelta(hours=24)
"""WhatsApp: how long after the customer's last message free text may be sent."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

# https://www.twilio.com/docs/iam/test-credentials
REFUSED_NUMBERS = {
    "+15005550001": (21211, "The 'To' number is not a valid phone number."),
    "+15005550002": (21612, "The 'To' phone number is not currently reachable via SMS."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
BUSY_ONCE = "+15005550429"
"""Ours: the first message is answered with 429, the next ones are taken."""
BROKEN = "+15005550500"
"""Ours: always 500, nothing is taken."""
CUT_OFF = "+15005550499"
"""Ours: the message is taken, and the line is cut before the answer, the first time."""
NOT_DELIVERED = "+15005550404"
"""Ours: taken, and later undelivered: the telephone is switched off."""


@dataclass(slots=True, kw_only=True)
class OutsideFile:
    """A picture or other file of a message; `url` where it is somebody else's."""

    media_type: str
    content: bytes = b""
    url: str = ""
    sid: str = field(default_factory=lambda: "ME" + secrets.token_hex(16))


@dataclass(slots=True, kw_only=True)
class OutsideMessage:
    """A message as Twilio has it. `direction` is "inbound" (to us) or "outbound-api" (from us).

    `sender` and `to` have the prefix "whatsapp:" where they are such.
    """

    sid: str
    sender: str
    to: str
    body: str
    direction: str
    status: str
    at: datetime
    error: int | None = None
    callback: str = ""
    files: Sequence[OutsideFile] = ()


class TwilioImitation:
    """The API under `API` of an aiohttp application, and the customers' telephones behind it.

    `messages_url` is where customers' messages are posted (set it before they write). `changed` is
    called after each change.
    """

    def __init__(
        self,
        *,
        account: str = ACCOUNT,
        token: str | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.account = account
        self.token = token or secrets.token_hex(16)
        self.messages_url = ""
        self.url = ""
        self.messages: list[OutsideMessage] = []
        self.callbacks_refused = 0
        self._validator = RequestValidator(self.token)
        self._changed = changed
        self._seen_busy: set[str] = set()
        self._tellers: set[asyncio.Task[None]] = set()
        self._http: ClientSession | None = None

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(API + "/{account}/Messages.json", self._create)
        app.router.add_get(API + "/{account}/Messages.json", self._list)
        app.router.add_get(API + "/{account}/Messages/{sid}.json", self._fetch)
        app.router.add_get(API + "/{account}/Messages/{message}/Media/{sid}", self._media)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)

    async def customer_writes(
        self,
        sender: str,
        to: str,
        body: str,
        *,
        files: Sequence[OutsideFile] = (),
        sid: str = "",
        name: str = "",
    ) -> int:
        """Post a customer's message to `messages_url`; the status of the answer.

        The same `sid` again is the same message again, as Twilio repeats what was not answered.
        Raises aiohttp.ClientError or TimeoutError if nobody answers.
        """
        message = OutsideMessage(
            sid=sid or ("MM" if files else "SM") + secrets.token_hex(16),
            sender=sender,
            to=to,
            body=body,
            direction="inbound",
            status="received",
            at=datetime.now(UTC),
            files=files,
        )
        if not any(known.sid == message.sid for known in self.messages):
            self._keep(message)
        fields = self._described(message) | {"Body": body, "NumMedia": str(len(files))}
        fields["NumSegments"] = str(split(body).count)
        for place, file in enumerate(files):
            fields[f"MediaUrl{place}"] = (
                f"{self.url}{API}/{self.account}/Messages/{message.sid}/Media/{file.sid}"
            )
            fields[f"MediaContentType{place}"] = file.media_type
        if sender.startswith("whatsapp:"):
            fields |= {"WaId": sender.rpartition("+")[2], "ProfileName": name}
        return await self.post(self.messages_url, fields)

    async def post(self, url: str, fields: Mapping[str, str]) -> int:
        """Post a form as Twilio does, signed; the status of the answer."""
        assert self._http is not None
        signature = self._validator.compute_signature(url, dict(fields))
        async with self._http.post(
            url, data=dict(fields), headers={"X-Twilio-Signature": signature}
        ) as response:
            return response.status

    def read_by_customer(self, sid: str) -> None:
        """WhatsApp: the customer has opened the message."""
        for message in self.messages:
            if message.sid == sid and message.status == "delivered":
                self._tell_later(message, ("read", None))

    async def _start(self, app: web.Application) -> None:
        self._http = ClientSession(timeout=ClientTimeout(total=15))

    async def _stop(self, app: web.Application) -> None:
        for teller in self._tellers:
            teller.cancel()
        await asyncio.gather(*self._tellers, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if not self._may(request):
            return _error(401, 20003, "Authenticate")
        form = await request.post()
        wish = {name: str(value) for name, value in form.items()}
        to, sender, body = wish.get("To", ""), wish.get("From", ""), wish.get("Body", "")
        content = wish.get("ContentSid", "")
        number = to.removeprefix("whatsapp:")
        pictures = [str(url) for url in form.getall("MediaUrl", [])]
        refusal = _refusal(sender, to, body, bool(pictures or content))
        if refusal is not None:
            return refusal
        if number == BUSY_ONCE and number not in self._seen_busy:
            self._seen_busy.add(number)
            return _error(429, 20429, "Too Many Requests")
        if content:
            body = f"[{content}] {wish.get('ContentVariables', '')}"
        message = OutsideMessage(
            sid=("MM" if pictures else "SM") + secrets.token_hex(16),
            sender=sender,
            to=to,
            body=body,
            direction="outbound-api",
            status="queued",
            at=datetime.now(UTC),
            callback=wish.get("StatusCallback", ""),
            files=[OutsideFile(media_type="", url=url) for url in pictures],
        )
        is_open = bool(content) or not to.startswith("whatsapp:") or self._has_written(to)
        self._keep(message)
        if not is_open:
            self._tell_later(message, ("failed", 63016))
        elif number == NOT_DELIVERED:
            self._tell_later(message, ("sent", None), ("undelivered", 30003))
        else:
            self._tell_later(message, ("sent", None), ("delivered", None))
        if number == CUT_OFF and number not in self._seen_busy:
            self._seen_busy.add(number)
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self._resource(message), status=201, dumps=_dumps)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if not self._may(request):
            return _error(401, 20003, "Authenticate")
        to, sender = request.query.get("To"), request.query.get("From")
        day = request.query.get("DateSent>", "")[:10]
        size = min(1_000, int(request.query.get("PageSize", "50")))
        found = [
            self._resource(message)
            for message in reversed(self.messages)
            if to in (None, message.to)
            and sender in (None, message.sender)
            and message.at.date().isoformat() >= day
        ][:size]
        answer = {"messages": found, "page": 0, "page_size": size, "next_page_uri": None}
        return web.json_response(answer, dumps=_dumps)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        if not self._may(request):
            return _error(401, 20003, "Authenticate")
        for message in self.messages:
            if message.sid == request.match_info["sid"]:
                return web.json_response(self._resource(message), dumps=_dumps)
        return _error(404, 20404, "The requested resource was not found")

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if not self._may(request):
            return _error(401, 20003, "Authenticate")
        for message in self.messages:
            for file in message.files:
                if file.sid == request.match_info["sid"]:
                    return web.Response(body=file.content, content_type=file.media_type)
        return _error(404, 20404, "The requested resource was not found")

    def _may(self, request: web.Request) -> bool:
        expected = base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Basic {expected}".encode()) and (
            request.match_info["account"] == self.account
        )

    def _has_written(self, address: str) -> bool:
        since = datetime.now(UTC) - SESSION_WINDOW
        return any(
            message.sender == address and message.direction == "inbound" and message.at > since
            for message in self.messages
        )

    def _keep(self, message: OutsideMessage) -> None:
        self.messages.append(message)
        del self.messages[:-KEPT]
        self._changed()

    def _tell_later(self, message: OutsideMessage, *steps: tuple[str, int | None]) -> None:
        teller = asyncio.create_task(self._tell(message, steps), name="twilio status")
        self._tellers.add(teller)
        teller.add_done_callback(self._tellers.discard)

    async def _tell(self, message: OutsideMessage, steps: Sequence[tuple[str, int | None]]) -> None:
        for status, error in steps:
            message.status, message.error = status, error
            self._changed()
            if not message.callback:
                continue
            fields = self._described(message) | {"MessageStatus": status, "SmsStatus": status}
            if error is not None:
                fields["ErrorCode"] = str(error)
            try:
                answered = await self.post(message.callback, fields)
            except (ClientError, TimeoutError):
                answered = 0
            if answered // 100 != 2:
                self.callbacks_refused += 1
                log.warning("a status callback was answered with %s", answered or "nothing")

    def _described(self, message: OutsideMessage) -> dict[str, str]:
        return {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsMessageSid": message.sid,
            "AccountSid": self.account,
            "From": message.sender,
            "To": message.to,
            "ApiVersion": "2010-04-01",
        }

    def _resource(self, message: OutsideMessage) -> dict[str, Any]:
        place = f"{API}/{self.account}/Messages/{message.sid}"
        return {
            "sid": message.sid,
            "account_sid": self.account,
            "api_version": "2010-04-01",
            "body": message.body,
            "direction": message.direction,
            "status": message.status,
            "from": message.sender,
            "to": message.to,
            "date_created": format_datetime(message.at),
            "date_updated": format_datetime(message.at),
            "date_sent": None if message.status == "queued" else format_datetime(message.at),
            "num_segments": str(split(message.body).count),
            "num_media": str(len(message.files)),
            "price": None,
            "price_unit": "USD",
            "error_code": message.error,
            "error_message": None,
            "messaging_service_sid": None,
            "uri": place + ".json",
            "subresource_uris": {"media": place + "/Media.json"},
        }


def _refusal(sender: str, to: str, body: str, has_more: bool) -> web.Response | None:
    number = to.removeprefix("whatsapp:")
    if not sender:
        return _error(400, 21603, "A 'From' phone number is required.")
    if sender.startswith("whatsapp:") != to.startswith("whatsapp:"):
        return _error(400, 63007, "Twilio could not find a Channel with the specified From address")
    if number in REFUSED_NUMBERS:
        return _error(400, *REFUSED_NUMBERS[number])
    if not _E164.fullmatch(number):
        return _error(400, 21211, f"Invalid 'To' Phone Number: {number[:20]}")
    if not body and not has_more:
        return _error(400, 21602, "Message body is required.")
    if len(body) > LONGEST_BODY:
        return _error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    if number == BROKEN:
        return _error(500, 20500, "Internal Server Error")
    return None


def _error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    answer = {"code": code, "message": message, "more_info": more, "status": status}
    return web.json_response(answer, status=status, dumps=_dumps)


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()
