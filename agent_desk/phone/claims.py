"""Who holds an agent's phone: the one page that has its SIP account now, and its sockets.

Owns the claims: one per agent, given to a session, ended by the next claim, by the sign-out, by the
session's end, or some time after the last socket is gone. Refuses to know SIP, and keeps no secret:
that goes from the telephone side to the page that asked, and is forgotten here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from agent_desk.entrance.gate import Access, Route
from agent_desk.entrance.visitor import PARTS, json_answer, language_of, signed_in, wish_of
from agent_desk.parts import AgentActionRefused, PhoneControl
from crm_store.models import PhoneKind
from crm_store.staff import agents
from crm_store.staff.agents import SignedIn

log = logging.getLogger(__name__)

CLOSE_TAKEN_OVER = 4409
"""Close code: another page has the phone now. Do not connect again; ask the agent first."""

CLOSE_SESSION_OVER = 4401
"""Close code, as the push has it: sign in again."""

CLOSE_REPLACED = 1001
"""Close code of a socket for which the same page has opened another."""

ABANDONED_SECONDS = 120.0
"""A phone without a socket for so long is given back; its page claims it anew when it returns."""


@dataclass(eq=False, slots=True)
class HeldPhone:
    """A claim. `claim_id` names it in the socket's address; it is no secret by itself."""

    login: str
    extension: str
    session_id: int
    expires_at: float
    claim_id: str
    socket: web.WebSocketResponse | None = None
    abandoned: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """Where this page, and no other, opens its socket."""
        return f"/phone?claim={self.claim_id}"


@dataclass(eq=False, slots=True)
class PhoneClaims:
    """All claims of this process."""

    control: PhoneControl
    abandoned_seconds: float = ABANDONED_SECONDS
    _held: dict[str, HeldPhone] = field(default_factory=dict)
    _work: set[asyncio.Task[None]] = field(default_factory=set)
    _changing: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    """By login: who holds the phone, and whose secret the PBX knows, change together."""

    async def claim(self, session: SignedIn) -> dict[str, Any]:
        """Take the phone for this session. Raises AgentActionRefused if it cannot be had now."""
        async with self._changing[session.agent.login]:
            return await self._claim(session)

    async def _claim(self, session: SignedIn) -> dict[str, Any]:
        agent = session.agent
        assert agent.extension is not None
        claimed = await self.control.claim(agent.extension, agent.display_name)
        held = HeldPhone(
            login=agent.login,
            extension=agent.extension,
            session_id=session.session_id,
            expires_at=session.expires_at.timestamp(),
            claim_id=secrets.token_urlsafe(9),
        )
        former = self._held.get(agent.login)
        self._held[agent.login] = held
        if former is not None:
            self._let_go(former, CLOSE_TAKEN_OVER, b"the phone is used elsewhere")
        self._watch(held)
        return {**claimed, "socket": held.address}

    def of(self, session: SignedIn, claim_id: str | None) -> HeldPhone | None:
        """The claim of this session; None if it is another's by now, or was another one."""
        held = self._held.get(session.agent.login)
        if held is None or held.session_id != session.session_id:
            return None
        return held if claim_id in (None, held.claim_id) else None

    def used_elsewhere(self, login: str, former: str) -> bool:
        """Whether another page telephones by now than the one whose socket was at `former`."""
        held = self._held.get(login)
        return held is not None and held.socket is not None and held.address != former

    @contextlib.contextmanager
    def connected(self, held: HeldPhone, socket: web.WebSocketResponse) -> Any:
        """While the page's socket is open. One that it opened before is closed."""
        former, held.socket = held.socket, socket
        if former is not None:
            self._close(former, CLOSE_REPLACED, b"the page has another connection")
        if held.abandoned is not None:
            held.abandoned.cancel()
            held.abandoned = None
        self.control.connected(held.extension, True)
        try:
            yield
        finally:
            if held.socket is socket:
                held.socket = None
                if self._held.get(held.login) is held:
                    self._watch(held)
                    self.control.connected(held.extension, False)

    async def release(self, login: str, session_id: int | None = None) -> None:
        """Give the phone back; only if that session holds it, when one is named."""
        async with self._changing[login]:
            held = self._held.get(login)
            if held is not None and session_id in (None, held.session_id):
                await self._release(held)

    async def _release(self, held: HeldPhone) -> None:
        login = held.login
        del self._held[login]
        self._let_go(held, CLOSE_SESSION_OVER, b"the phone was given back")
        try:
            await self.control.release(held.extension)
        except AgentActionRefused as refusal:
            # Its secret is dead to us; the PBX forgets it as soon as it can be told.
            log.warning("the phone of %s is not taken from the PBX yet: %s", login, refusal)

    @property
    def sessions(self) -> set[int]:
        """The sessions that hold a phone."""
        return {held.session_id for held in self._held.values()}

    async def end_session(self, session_id: int) -> None:
        """That session is over: signed out, expired, or its agent kept out."""
        for held in list(self._held.values()):
            if held.session_id == session_id:
                await self.release(held.login, session_id)

    async def close(self) -> None:
        """Give all phones back: the service stops."""
        await asyncio.gather(*(self.release(login) for login in list(self._held)))
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _watch(self, held: HeldPhone) -> None:
        wait = min(self.abandoned_seconds, max(0.0, held.expires_at - time.time()))
        held.abandoned = asyncio.get_running_loop().call_later(wait, self._give_up, held)

    def _give_up(self, held: HeldPhone) -> None:
        self._start(self._release_abandoned(held))

    async def _release_abandoned(self, held: HeldPhone) -> None:
        async with self._changing[held.login]:
            if self._held.get(held.login) is held and held.socket is None:
                await self._release(held)

    def _let_go(self, held: HeldPhone, code: int, reason: bytes) -> None:
        if held.abandoned is not None:
            held.abandoned.cancel()
        if held.socket is not None:
            self._close(held.socket, code, reason)

    def _close(self, socket: web.WebSocketResponse, code: int, reason: bytes) -> None:
        async def close() -> None:
            await socket.close(code=code, message=reason)

        self._start(close())

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


CLAIMS = web.AppKey("phone_claims", PhoneClaims)


async def close_claims(app: web.Application) -> None:
    """Give all phones back: the service stops."""
    await app[CLAIMS].close()


async def claim_phone(request: web.Request) -> web.StreamResponse:
    """POST {"former"?: socket}: this page is my phone from now on: {"pbx", "account", "secret",
    "domain", "socket", "display_name", "echo", "calls"}; `echo` is the number that says back what
    it hears. A page that was it before is told so. 409 when I telephone with a desk phone or have
    no extension, 412 when a page comes back, names the socket it had, and another page telephones
    by now, 503 when the PBX is away."""
    _ = language_of(request)
    former = (await wish_of(request)).get("former")
    session = signed_in(request)
    if not session.agent.extension:
        raise web.HTTPConflict(text=_("You have no extension. Ask a supervisor for one."))
    if session.agent.phone is not PhoneKind.BROWSER:
        raise web.HTTPConflict(text=_("You telephone with a desk phone."))
    claims = request.app[CLAIMS]
    if isinstance(former, str) and claims.used_elsewhere(session.agent.login, former):
        raise web.HTTPPreconditionFailed(text=_("Your phone is used elsewhere by now."))
    answer = json_answer(await claims.claim(session))
    log.info("%s telephones in the browser", session.agent.login)
    return answer


async def release_phone(request: web.Request) -> web.StreamResponse:
    """POST {}: this page is no phone any more. Calls under way end with the page, not with this."""
    await wish_of(request)
    session = signed_in(request)
    await request.app[CLAIMS].release(session.agent.login, session.session_id)
    return json_answer({})


async def show_legs(request: web.Request) -> web.StreamResponse:
    """GET: my phone's calls as the PBX has them: {"legs": [{"pbx", "call", "call_id", "state",
    "number"}]}; `call_id` is SIP's Call-ID, `state` ringing, answered or held."""
    agent = signed_in(request).agent
    legs = await request.app[PARTS].phones.legs(agent.extension) if agent.extension else []
    return json_answer({"legs": legs})


async def choose_phone(request: web.Request) -> web.StreamResponse:
    """POST {"kind": "browser"|"desk"}: what I telephone with. 409 while I am in a call."""
    _ = language_of(request)
    parts = request.app[PARTS]
    agent = signed_in(request).agent
    try:
        kind = PhoneKind(str((await wish_of(request)).get("kind")))
    except ValueError:
        raise web.HTTPBadRequest from None
    if agent.extension and await parts.phones.legs(agent.extension):
        raise web.HTTPConflict(text=_("You are in a call. Change your phone after it."))
    async with parts.database.transaction() as transaction:
        await agents.set_phone(transaction, agent.login, kind)
    if kind is PhoneKind.DESK:
        await request.app[CLAIMS].release(agent.login)
    await parts.phones.chosen()
    return json_answer({})


ROUTES = (
    Route("POST", "/api/phone/claim", claim_phone, Access.AGENTS),
    Route("POST", "/api/phone/release", release_phone, Access.AGENTS),
    Route("GET", "/api/phone/legs", show_legs, Access.AGENTS),
    Route("POST", "/api/agent/phone", choose_phone, Access.AGENTS),
)
