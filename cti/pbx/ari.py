"""Asterisk's REST interface, as far as Deskbell uses it: objects given to PJSIP while it runs.

Owns the address, the secret and the form of requests. Refuses to know what a phone is: see
cti.phones.browser_phones. Nothing that is sent or answered is logged: it holds secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp

ANSWER_SECONDS: Final = 5.0
"""How long an answer may take, which is a few milliseconds on a healthy machine."""

GONE_STEP_SECONDS: Final = 0.01


class AriFailed(Exception):
    """Asterisk did not answer, or not as it should. The text holds no secret."""


class HeldByFile(AriFailed):
    """An object of that name stands in Asterisk's own files, which cannot be changed from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AriAddress:
    """Where and as whom to reach ARI; `url` is Asterisk's HTTP server, `http://127.0.0.1:8088`."""

    url: str
    user: str
    secret: str

    @property
    def web_socket(self) -> str:
        """Where SIP over WebSocket is spoken: the same server's `/ws`."""
        return f"ws{self.url.removeprefix('http').rstrip('/')}/ws"


class Ari:
    """A client of one Asterisk. Made within the event loop; `close` at the end."""

    def __init__(self, address: AriAddress) -> None:
        self.address = address
        self._http = aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth(address.user, address.secret)},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.close()

    async def put_object(self, kind: str, name: str, fields: Mapping[str, str]) -> None:
        """Make the PJSIP object, or change it into this one. Raises AriFailed, HeldByFile."""
        body = {"fields": [{"attribute": key, "value": text} for key, text in fields.items()]}
        status = await self._ask("PUT", kind, name, body)
        if status == 403:
            raise HeldByFile(f"{kind} {name} stands in the PBX's own files")
        if status != 200:
            raise AriFailed(f"ARI answered {status} to {kind} {name}")

    async def has_object(self, kind: str, name: str) -> bool:
        """Whether there is such an object, ours or the file's. Raises AriFailed."""
        status = await self._ask("GET", kind, name, None)
        if status not in (200, 404):
            raise AriFailed(f"ARI answered {status} to the question for {kind} {name}")
        return status == 200

    async def delete_object(self, kind: str, name: str) -> bool:
        """Take the object away; False if there was none of ours. Raises AriFailed."""
        status = await self._ask("DELETE", kind, name, None)
        if status not in (200, 204, 403, 404):
            raise AriFailed(f"ARI answered {status} to the removal of {kind} {name}")
        return status in (200, 204)

    async def wait_until_gone(self, endpoint: str) -> None:
        """Return when nothing is left of a PJSIP endpoint that was taken away; usually at once.

        An Asterisk without res_ari_endpoints does not tell, and is not waited for. Raises AriFailed
        if it is there for long.
        """
        path = f"/ari/endpoints/PJSIP/{quote(endpoint, safe='')}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while await self._request("GET", path, None) != 404:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(GONE_STEP_SECONDS)
        except TimeoutError:
            raise AriFailed(f"the endpoint {endpoint} does not go away") from None

    async def _ask(self, method: str, kind: str, name: str, body: object) -> int:
        path = f"/ari/asterisk/config/dynamic/res_pjsip/{kind}/{quote(name, safe='')}"
        return await self._request(method, path, body)

    async def _request(self, method: str, path: str, body: object) -> int:
        url = self.address.url.rstrip("/") + path
        try:
            async with self._http.request(
                method, url, json=body, allow_redirects=False
            ) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AriFailed(f"ARI does not answer: {type(error).__name__}") from None
