"""A Twilio account over HTTP: hand over a message, look whether one was handed over, fetch a file.

Owns the connection and what each of Twilio's errors means for a message: never, not now, or nobody
knows. SMS and WhatsApp go through it. Refuses to know conversations and what a text says.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from sqlalchemy import select
from twilio.base import values
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.senders import NotNow, Refused
from crm_store.database import Database
from crm_store.models import OutboxMessage

log = logging.getLogger(__name__)

OWN_URL = "https://api.twilio.com"
LONGEST_BODY = 1_600
"""Twilio refuses longer texts (error 21617)."""

LARGEST_FILE = 25_000_000
ANSWER_S = 30.0
LOOK_BACK = timedelta(hours=2)
"""A message that may have been handed over is looked for among those since then."""

# https://www.twilio.com/docs/api/errors
NO_SUCH_ADDRESS = {21211, 21214, 21217, 21614, 63003, 63024}
OPTED_OUT = 21610
SIGNED_OUT_WAIT_S = 300.0
"""Credentials or the account are at fault: no message is, so they wait for a person."""

_FILE_PATH = re.compile(
    r"/2010-04-01/Accounts/AC[0-9a-fA-F]{32}/Messages/[A-Z]{2}[0-9a-fA-F]{32}"
    r"/Media/ME[0-9a-fA-F]{32}"
)
_FILE_HOSTS = ("twiliocdn.com", "amazonaws.com")


class OptedOut(Refused):
    """The address has told the provider that it wants nothing more from our number."""


class Uncertain(Exception):
    """Twilio failed in the middle; nobody knows whether it has the message."""


class NotOurFile(Exception):
    """The address of a file is not one of this account at Twilio, or there is nothing sound."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that Twilio has. `segments` is None where it does not say (yet)."""

    sid: str
    segments: int | None


class TwilioAccount:
    """One account. `url` points elsewhere than to Twilio, for the demo and the tests."""

    def __init__(self, database: Database, sid: str, token: str, *, url: str = "") -> None:
        self.sid = sid
        self._database = database
        self._url = (url or OWN_URL).rstrip("/")
        self._token = token
        self._authorization = aiohttp.encode_basic_auth(sid, token)
        self._http: _Http | None = None

    async def hand_over(
        self,
        *,
        to: str,
        sender: str,
        body: str = "",
        status_url: str = "",
        file_urls: Sequence[str] = (),
        template: str = "",
        template_values: str = "",
        is_repeat: bool = False,
    ) -> Handed:
        """Give Twilio a message. `template` is a ContentSid, `template_values` its values as JSON.
        With `is_repeat` it may be there already, and is looked for first.

        Raises NotNow or Refused (OptedOut); anything else means that nobody knows.
        """
        wish: dict[str, Any] = {
            "to": to,
            "from_": sender,
            "body": body or values.unset,
            "status_callback": status_url or values.unset,
            "media_url": list(file_urls) or values.unset,
            "content_sid": template or values.unset,
            "content_variables": template_values or values.unset,
        }
        # What Twilio makes of a template is not known here, so that its text cannot be looked for.
        can_look = bool(body) and not template
        if is_repeat and can_look and (found := await self._handed_before(to, sender, body)):
            return found
        try:
            message = await self._client().messages.create_async(**wish)
        except aiohttp.ClientConnectorError as error:
            raise NotNow(10.0, "Twilio cannot be reached") from error
        except (TwilioRestException, TwilioServiceException) as error:
            meant = _meaning_of(error)
            if not isinstance(meant, Uncertain) or not can_look:
                raise meant from None
            # It has answered, so it is done with the message: its list tells which way.
            if found := await self._handed_before(to, sender, body):
                return found
            raise NotNow(30.0, str(meant)) from None
        return Handed(str(message.sid), _whole_number(message.num_segments))

    async def _handed_before(self, to: str, sender: str, body: str) -> Handed | None:
        """The message that Twilio has without our hearing of it: it knows no keys for repeats, but
        it has a list. One that the outbox knows already is another one with the same words.

        Raises what aiohttp and twilio raise if the list cannot be had.
        """
        since = datetime.now(UTC) - LOOK_BACK
        found = await self._client().messages.list_async(to=to, from_=sender, limit=50)
        alike = {
            str(message.sid): message
            for message in found
            if message.body == body
            and str(message.direction).startswith("outbound")
            and message.date_created is not None
            and message.date_created >= since
        }
        query = select(OutboxMessage.provider_id).where(OutboxMessage.provider_id.in_(alike))
        async with self._database.reading() as session:
            known = set(await session.scalars(query))
        for sid in alike.keys() - known:
            log.info("a message that nobody knew of was with Twilio already")
            return Handed(sid, _whole_number(alike[sid].num_segments))
        return None

    async def fetch_file(self, url: str) -> tuple[str, bytes]:
        """The type and content of a file that a customer sent, from Twilio and nowhere else.

        The account's credentials go to the API's own host only; it may send us on to the hosts
        where it keeps files. Raises NotOurFile, or what aiohttp raises for a try later.
        """
        session = self._session()
        if not self._is_own_file(url):
            raise NotOurFile("that is no address of a file of this account")
        headers = {"Authorization": self._authorization}
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status not in (301, 302, 307, 308):
                return await _content_of(answer)
            place = answer.headers.get("Location", "")
        parts = urlsplit(place)
        host = parts.hostname or ""
        trusted = any(host == name or host.endswith("." + name) for name in _FILE_HOSTS)
        if parts.scheme != "https" or not trusted or parts.port not in (None, 443):
            raise NotOurFile("the file is said to be on a host that is not Twilio's")
        async with session.get(place, allow_redirects=False) as answer:
            return await _content_of(answer)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    def _is_own_file(self, url: str) -> bool:
        ours, theirs = urlsplit(self._url), urlsplit(url)
        return (
            (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)
            and _FILE_PATH.fullmatch(theirs.path) is not None
            and not theirs.query
        )

    def _client(self) -> Client:
        self._session()
        return Client(self.sid, self._token, http_client=self._http)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = _Http(self._url, self._authorization)
        return self._http.session


class _Http(AsyncHttpClient):  # type: ignore[misc]
    """What twilio's client speaks through. Its own one logs customers' numbers, knows no time-out,
    and cannot be pointed elsewhere."""

    def __init__(self, url: str, authorization: str) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=True)
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        self._url = url
        self._authorization = authorization

    async def request(  # noqa: PLR0917 - twilio's own signature
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - twilio's own signature
        allow_redirects: bool = False,
    ) -> Response:
        async with self.session.request(
            method,
            self._url + uri.removeprefix(OWN_URL),
            params=params,
            data=data,
            headers={**(headers or {}), "Authorization": self._authorization},
            allow_redirects=False,
        ) as answer:
            return Response(answer.status, await answer.text(), answer.headers)

    async def close(self) -> None:
        await self.session.close()


def _meaning_of(error: TwilioRestException | TwilioServiceException) -> Exception:
    """What the error means for the message."""
    status, code = int(error.status), int(error.code or error.status)
    why = f"Twilio: error {code}"
    if status == 429 or code == 20429:
        return NotNow(5.0, why)
    if status in (401, 403):
        return NotNow(SIGNED_OUT_WAIT_S, why)
    if status == 503:
        return NotNow(15.0, why)
    if status >= 500:
        return Uncertain(why)
    if code == OPTED_OUT:
        return OptedOut(why)
    return Refused(why, bad_address=code in NO_SUCH_ADDRESS)


async def _content_of(answer: aiohttp.ClientResponse) -> tuple[str, bytes]:
    if answer.status in (400, 403, 404, 410):
        raise NotOurFile(f"Twilio has no such file ({answer.status})")
    answer.raise_for_status()
    content = bytearray()
    async for piece in answer.content.iter_chunked(65_536):
        content += piece
        if len(content) > LARGEST_FILE:
            raise NotOurFile("the file is too large")
    return answer.content_type, bytes(content)


def _whole_number(text: object) -> int | None:
    """Twilio says 0 where it has not counted yet."""
    return int(text) or None if isinstance(text, str) and text.isdigit() else None
