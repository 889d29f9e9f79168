"""What the desk is given: the store, the bus, and the hands that move agents in the queues.

Owns the exact shape of those expectations, so that `deskbell/service.py` can fit the telephone side
to them. Refuses to know how any of them works, and reads no configuration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from agent_desk.inbox.written_work import WrittenWork
from agent_desk.webhooks.parts import WebhookParts
from channels.attachments import AttachmentFiles
from channels.chat.chats import ChatHub
from channels.chat.leaving import Leaving
from channels.chat.proof import Proof
from channels.incoming import Incoming, Received
from crm_store.bus import Bus
from crm_store.contacts.recordings import RecordingRecord
from crm_store.database import Database
from crm_store.models import Channel
from crm_store.signals import AgentStateChanged
from ivr.conversation.conversation import Step
from ivr.conversation.line import CallerHungUp, Line
from ivr.menus.tree import Tree
from ivr.speech.sound_files import SoundFiles


class AgentActionRefused(Exception):
    """The telephone side could not do it. The message is shown to the agent: say what to do.

    Raised by the callables of AgentControl for an expected failure (the PBX link is down, Asterisk
    answered with an error, the queue does not exist). Anything else is a defect and becomes a 500.
    """


async def _nothing_to_apply() -> str:
    return ""


async def _no_phone(extension: str, name: str) -> dict[str, Any]:
    raise AgentActionRefused("No telephone system here takes phones in browsers.")


async def _no_release(extension: str) -> None:
    return None


async def _no_legs(extension: str) -> list[dict[str, Any]]:
    return []


async def _nothing_chosen() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneControl:
    """Phones in browsers, by the agent's extension. Each raises AgentActionRefused when the PBX
    cannot be told."""

    claim: Callable[[str, str], Awaitable[dict[str, Any]]] = _no_phone
    """A fresh SIP account for a page (the second value is the agent's name): `pbx, account,
    secret, domain, display_name, calls`. The former account is dead when this returns."""

    release: Callable[[str], Awaitable[None]] = _no_release
    """The account is no more."""

    legs: Callable[[str], Awaitable[list[dict[str, Any]]]] = _no_legs
    """The phone's calls as the PBX has them: `pbx, call, call_id, state, number`."""

    chosen: Callable[[], Awaitable[None]] = _nothing_chosen
    """An agent chose another kind of phone; it is in the store."""

    web_socket: Callable[[], str] = lambda: ""
    """The PBX's own address for SIP over WebSocket."""

    connected: Callable[[str, bool], None] = lambda extension, connected: None
    """The page's connection came, or went. Never blocks."""


class NotPossibleNow(Exception):
    """A call is not in a state for what was asked of it. The text says why: "gone" (over, or the
    agent does not talk in it), "never" or "always" (its queue's recording policy), "forbidden" (the
    PBX lets nobody record)."""


async def _no_conference(pbx: str, call: str, other: str, extension: str) -> None:
    raise NotPossibleNow("gone")


async def _no_parking(pbx: str, call: str, extension: str) -> str:
    raise NotPossibleNow("gone")


async def _no_transfer(pbx: str, call: str, extension: str, to: str) -> None:
    raise NotPossibleNow("gone")


async def _no_hang_up(pbx: str, call: str, extension: str) -> None:
    raise NotPossibleNow("gone")


async def _no_recording(pbx: str, call: str, action: str, agent: str) -> None:
    raise NotPossibleNow("gone")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallVerbs:
    """What only the PBX can do to a call. Each raises NotPossibleNow, or AgentActionRefused when
    the PBX cannot be told."""

    join: Callable[[str, str, str, str], Awaitable[None]] = _no_conference
    """Make one conversation of two calls (PBX, call, other call) of the agent at an extension."""

    park: Callable[[str, str, str], Awaitable[str]] = _no_parking
    """Let whom the agent at an extension talks to (PBX, call, extension) wait; where."""

    transfer: Callable[[str, str, str, str], Awaitable[None]] = _no_transfer
    """(PBX, call, extension, to): whom the agent there talks to goes to the number `to`."""

    hang_up: Callable[[str, str, str], Awaitable[None]] = _no_hang_up
    """End the leg of the agent (PBX, call, extension)."""

    record: Callable[[str, str, str, str], Awaitable[None]] = _no_recording
    """(PBX, call, action, login): start, pause, resume or stop recording."""

    recording_file: Callable[[RecordingRecord], Path | None] = lambda recording: None
    """Where a recording's sound is; None if it is not here. Never blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVoices:
    """The sounds of the phone menus' prompts."""

    sounds: SoundFiles
    uploads: Path
    """The folder of supervisors' own recordings, by the names that the store has."""


async def _no_menus(
    line: Line, code: str, tree: Tree, number: str, report: Callable[[Step], None]
) -> None:
    raise CallerHungUp


async def _no_menu_call(extension: str, code: str, tree: Tree) -> None:
    raise AgentActionRefused("The phone menus are not running here.")


async def _nothing_published() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuControl:
    """The phone menus, for whoever edits them."""

    try_out: Callable[[Line, str, Tree, str, Callable[[Step], None]], Awaitable[None]] = _no_menus
    """Walk a line through a tree (of the menu with that code) as a caller from that number; each
    step is reported. Nothing that is done there stays done. Raises CallerHungUp."""

    call: Callable[[str, str, Tree], Awaitable[None]] = _no_menu_call
    """Ring an extension; who answers is in that tree (of the menu with that code). Raises
    AgentActionRefused."""

    published: Callable[[], Awaitable[None]] = _nothing_published
    """Another version is in use, or other words and recordings: speak it from now on."""


def _no_calls() -> list[dict[str, Any]]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentControl:
    """What an agent does to their own place in the queues. `agent` is always the login.

    The outcome of each comes back as an AgentStateChanged on the bus; the desk shows that, never
    its own guess. Calling one twice, or in an odd order, does no harm.
    """

    sign_in: Callable[[str, Sequence[str]], Awaitable[None]]
    """Join these queues (names) and leave all others; available afterwards, unless paused."""

    sign_out: Callable[[str], Awaitable[None]]
    """Leave all queues: offline."""

    pause: Callable[[str, str], Awaitable[None]]
    """Pause in all queues; the second value is the pause reason's code."""

    unpause: Callable[[str], Awaitable[None]]

    finish_wrap_up: Callable[[str], Awaitable[None]]
    """Wrap-up is done before its time was over: available again, or on the pause that follows."""

    extend_wrap_up: Callable[[str, int], Awaitable[None]]
    """The wrap-up lasts so many seconds longer, but no longer than its queue lets it."""

    state_of: Callable[[str], AgentStateChanged]
    """The state now. An agent nobody has seen is offline with no queues. Never blocks."""


async def _nobody_reads(incoming: Incoming) -> Received:
    raise AgentActionRefused("Nothing can be written here yet.")


async def _nothing_to_forget(calls: Sequence[tuple[str, str]]) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class HallParts:
    """What the customers' own pages are given (agent_desk/hall)."""

    is_open: bool = True
    """Whether there is a hall at all."""

    session_days: float = 30.0
    """A customer's session ends this long after the sign-in."""

    receive: Callable[[Incoming], Awaitable[Received]] = _nobody_reads
    """The inbox (channels.inbox.Inbox.receive), for what customers write here."""

    attachments_folder: Path | None = None
    """Where the files of messages are; None where none are kept."""

    forget_calls: Callable[[Sequence[tuple[str, str]]], Awaitable[None]] = _nothing_to_forget
    """A person was erased who had these calls (PBX, Linkedid): delete what the PBX keeps of them
    (faxes in its spool)."""

    sends_codes_by: frozenset[Channel] = frozenset({Channel.MAIL, Channel.SMS})
    """The channels that carry a code to its customer here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatParts:
    """The chat on the shop's sites. Whoever makes it runs `hub` and `leaving`."""

    hub: ChatHub
    leaving: Leaving
    proof: Proof
    files: AttachmentFiles

    sites: frozenset[str] = frozenset()
    """Origins in lower case whose pages may open a chat, besides the desk's own."""

    demo_shop: bool = False
    """Show the sample shop page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParts:
    """All that `create_app` needs.

    `calls` gives the live calls as plain dicts, in the form of the push topic `calls`
    (docs/push.md): `pbx, call, direction, caller, caller_name, callee, state, queue, agent, rang,
    space, started_at, waiting_since, answered_at`, and `parked_by` beside; times as seconds since
    1970, or None. It is read once at the start and again whenever a PbxLinkChanged says that the
    model was rebuilt; it must not block.
    """

    database: Database
    bus: Bus
    agents: AgentControl
    calls: Callable[[], list[dict[str, Any]]] = _no_calls
    phones: PhoneControl = field(default_factory=PhoneControl)
    call_verbs: CallVerbs = field(default_factory=CallVerbs)
    menus: MenuControl = field(default_factory=MenuControl)
    written: WrittenWork = field(default_factory=WrittenWork)

    prompt_voices: PromptVoices | None = None
    """None where no phone menus run."""

    apply_settings: Callable[[], Awaitable[str]] = _nothing_to_apply
    """Have the telephone side take agents, queues and penalties as the store has them now. Answers
    "" when all of it did, "later" when a link is down (it takes them when it is back), "reload"
    when somebody must reload their own Asterisk, "refused" when it would not be a sound PBX: two
    things with one number, say."""

    hall: HallParts = field(default_factory=HallParts)

    chat: ChatParts | None = None
    """None where there is no chat."""

    webhooks: WebhookParts = field(default_factory=WebhookParts)

    region: str = "CN"
    """Region (ISO 3166) in which a number without a country code is read."""

    session_hours: float = 12.0
    """A session ends this long after the sign-in."""

    public_url: str = ""
    """The address as browsers see it, behind a proxy; "" takes each request's own Host."""

    behind_proxy: bool = False
    """Take the client's address from the last X-Forwarded-For entry."""

    secure_cookies: bool = False
    """The desk is reached over TLS: cookies are Secure, and HSTS is sent."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """Where the desk's own numbers are registered; /metrics shows all of it."""

    link_is_up: Callable[[], bool] = lambda: True
    """Whether every PBX link is up, for /health."""
