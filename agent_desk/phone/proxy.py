"""The phone's WebSocket: SIP between an agent's page and the PBX, through the desk's own address.

Owns the frames on their way, their limits, and what each side's end means to the other. Refuses to
read SIP, and logs none of it: the PBX itself asks each phone for its secret. Close codes for the
page: 4409 another page is the phone now, 4401 the session is over, 1013 the PBX is away, 1008 or
1009 the page talks rubbish, too much of it, or too long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, origin_is_ours, signed_in
from agent_desk.phone.claims import CLAIMS, CLOSE_SESSION_OVER, CLOSE_TAKEN_OVER, HeldPhone

log = logging.getLogger(__name__)

MESSAGE_BYTES: Final = 65_535
"""The largest SIP message either way: Asterisk's own limit."""

MESSAGES_PER_SECOND: Final = 50.0
"""What a page may send in the long run; a call needs about ten messages in all."""

MESSAGE_BURST: Final = 300.0

HEARTBEAT_SECONDS: Final = 10.0
"""A page that does not answer a ping within half of this is gone."""

SEND_SECONDS: Final = 10.0
"""A page that reads nothing for so long is cut off."""

CONNECT_SECONDS: Final = 5.0

HTTP = web.AppKey("phone_proxy_http", aiohttp.ClientSession)


async def keep_http(app: web.Application) -> AsyncIterator[None]:
    """The connections to the PBX live as long as the application."""
    app[HTTP] = aiohttp.ClientSession(trust_env=False)
    yield
    await app[HTTP].close()


async def open_phone(request: web.Request) -> web.StreamResponse:
    """GET /phone: SIP over WebSocket, for the page that holds the phone (`?claim=` as the claim's
    answer has it)."""
    if not origin_is_ours(request):
        raise web.HTTPForbidden(text="This WebSocket is for the desk's own pages.")
    session = signed_in(request)
    page = web.WebSocketResponse(
        protocols=("sip",),
        compress=False,
        heartbeat=HEARTBEAT_SECONDS,
        max_msg_size=MESSAGE_BYTES,
        timeout=2.0,
    )
    if page.can_prepare(request).protocol != "sip":
        raise web.HTTPBadRequest(text="This WebSocket speaks the subprotocol sip.")
    await page.prepare(request)
    held = request.app[CLAIMS].of(session, request.query.get("claim"))
    if held is None:
        await page.close(code=CLOSE_TAKEN_OVER, message=b"claim the phone first")
        return page
    try:
        pbx = await asyncio.wait_for(
            request.app[HTTP].ws_connect(
                request.app[PARTS].phones.web_socket(),
                protocols=("sip",),
                max_msg_size=MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                compress=0,
            ),
            CONNECT_SECONDS,
        )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("the phone of %s finds no PBX: %s", held.login, type(error).__name__)
        await page.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"the PBX is away")
        return page
    if request.app[CLAIMS].of(session, held.claim_id) is not held:
        # Claimed or given back while the PBX was being reached.
        await pbx.close()
        await page.close(code=CLOSE_TAKEN_OVER, message=b"the phone is used elsewhere")
        return page
    with request.app[CLAIMS].connected(held, page):
        await _carry(held, page, pbx)
    return page


async def _carry(
    held: HeldPhone, page: web.WebSocketResponse, pbx: aiohttp.ClientWebSocketResponse
) -> None:
    """Carry frames both ways until one side ends, and end the other as it asks for."""
    ways = (
        asyncio.create_task(_from_page(page, pbx), name="phone to PBX"),
        asyncio.create_task(_from_pbx(pbx, page), name="PBX to phone"),
    )
    code: int = WSCloseCode.TRY_AGAIN_LATER
    reason = b"the PBX is away"
    try:
        lasts = max(0.0, held.expires_at - time.time())
        done, _ = await asyncio.wait(ways, timeout=lasts, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            await page.close(code=CLOSE_SESSION_OVER, message=b"the session is over")
        for way in done:
            code, reason = way.result()
    except (ConnectionError, TimeoutError, aiohttp.ClientError) as error:
        log.info("the phone of %s lost its connection: %s", held.login, type(error).__name__)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await pbx.close()
        if not page.closed:
            await page.close(code=code, message=reason)


async def _from_page(
    page: web.WebSocketResponse, pbx: aiohttp.ClientWebSocketResponse
) -> tuple[int, bytes]:
    """Why it ended, as a close code for the page."""
    allowance, earned_at = MESSAGE_BURST, time.monotonic()
    async for message in page:
        if message.type is WSMsgType.ERROR:
            break
        now = time.monotonic()
        allowance = min(MESSAGE_BURST, allowance + (now - earned_at) * MESSAGES_PER_SECOND) - 1
        earned_at = now
        if allowance < 0:
            return WSCloseCode.POLICY_VIOLATION, b"too many messages"
        if message.type is not WSMsgType.TEXT:
            return WSCloseCode.UNSUPPORTED_DATA, b"SIP comes in text frames"
        await pbx.send_str(message.data)
    return WSCloseCode.OK, b""


async def _from_pbx(
    pbx: aiohttp.ClientWebSocketResponse, page: web.WebSocketResponse
) -> tuple[int, bytes]:
    async for message in pbx:
        if message.type is WSMsgType.ERROR:
            break
        async with asyncio.timeout(SEND_SECONDS):
            if message.type is WSMsgType.TEXT:
                await page.send_str(message.data)
            else:
                await page.send_bytes(message.data)
    return WSCloseCode.TRY_AGAIN_LATER, b"the PBX is away"


ROUTES = (Route("GET", "/phone", open_phone, Access.AGENTS),)
