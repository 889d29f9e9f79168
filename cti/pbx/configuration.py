"""What a PBX is told: queues, phones, menus and numbers, rendered into Asterisk's own files.

Owns the plain records that describe a PBX, their checks, the secrets, and the rendering of the
templates in asterisk_conf. Refuses to know processes, sockets, AMI and where the records come from.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import secrets as random_secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import jinja2

from crm_store.contacts import queue_places

AMI_USER = "deskbell"
ARI_USER = "deskbell"

HTTP_ADDRESS = "127.0.0.1"
"""Where our own Asterisk's HTTP server listens: browsers come to it through the desk."""

OUTSIDE_LINE = "9"
"""What a desk phone dials before a number of the telephone network (extensions.conf, outbound)."""

UNHEARD_CAUSE = 41
"""Q.850 temporary failure: Deskbell has ended a ring that nobody hears, since the agent's page is
gone; the dialplan waits for the next page. No phone says it by declining."""

PHONE_BACK_SECONDS = 10
"""How long the dialplan waits for it."""

# What the call model reads; everything else (VarSet, RTCP and Newexten are over half of the
# stream) stays inside Asterisk. manager.conf.j2 adds VarSet of QUEUESTATUS and Newexten of
# VoiceMail.
WANTED_EVENTS = (
    "AgentCalled",
    "AgentConnect",
    "AgentRingNoAnswer",
    "AttendedTransfer",
    "BlindTransfer",
    "BridgeEnter",
    "BridgeLeave",
    "DialBegin",
    "DialEnd",
    "DTMFEnd",
    "FullyBooted",
    "Hangup",
    "HangupRequest",
    "Hold",
    "Newchannel",
    "Newstate",
    "OriginateResponse",
    "ParkedCall",
    "ParkedCallGiveUp",
    "ParkedCallTimeOut",
    "Pickup",
    "QueueCallerAbandon",
    "QueueCallerJoin",
    "QueueCallerLeave",
    "QueueMemberAdded",
    "QueueMemberPause",
    "QueueMemberPenalty",
    "QueueMemberRemoved",
    "QueueMemberStatus",
    "ReceiveFAX",
    "Rename",
    "Shutdown",
    "SoftHangupRequest",
    "Unhold",
    "UnParkedCall",
)

# Asterisk complains at every start of each of these that is missing; empty means its defaults.
EMPTY_FILES = (
    *("acl", "ccss", "cel", "pjproject", "pjsip_notify", "queuerules", "res_fax", "stasis"),
    *("udptl", "websocket_client"),
)


# Control characters, lone surrogates, and separators of lines and paragraphs.
_NO_LETTERS = {"Cc", "Cs", "Zl", "Zp"}


FAX_DETECT_SECONDS = 30
"""How long after the answer a fax machine's tone is listened for; it comes every 3.5 s."""

# What Asterisk calls of itself in any context, where a queue's name would stand.
_RESERVED_NAMES = {"a", "e", "failed", "fax", "h", "i", "o", "s", "t", "T"}


class BadConfiguration(ValueError):
    """A value that would break Asterisk's files or mean something else in them."""


def _checked(pattern: str, value: str, what: str) -> str:
    if not re.fullmatch(pattern, value):
        raise BadConfiguration(f"{what}: {value!r} is not allowed (must match {pattern})")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """A queue and the number that reaches it. Times in whole seconds.

    After `max_wait_seconds`, or when nobody may wait, the caller goes to `overflow_queue` (a
    queue's number), or leaves a message in `overflow_mailbox`, or with `overflow_menu` comes to the
    phone menu for who waits, else is hung up. A caller who presses `exit_key` goes to
    `exit_number`, or leaves a message in `exit_mailbox`, or with `exit_menu` comes to that menu.
    Without phone menus both mean to wait on. `strategy` is Asterisk's (ringall, linear, rrmemory,
    ...).

    `announcement` is a sound (a path without language and ending) that who waits hears every
    `announcement_seconds`. With `survey`, who was served and has not hung up is asked how it was.
    Whoever last served the customer is rung alone for `preferred_agent_seconds`, 0 for not.
    """

    name: str
    number: str
    strategy: str = "ringall"
    ring_seconds: int = 15
    retry_seconds: int = 1
    max_wait_seconds: int = 300
    wrap_up_seconds: int = 0
    wait_without_agents: bool = True
    overflow_queue: str = ""
    overflow_mailbox: str = ""
    exit_key: str = ""
    exit_number: str = ""
    exit_mailbox: str = ""
    overflow_menu: bool = False
    exit_menu: bool = False
    announcement: str = ""
    announcement_seconds: int = 60
    survey: bool = False
    preferred_agent_seconds: int = 8

    def __post_init__(self) -> None:
        _checked(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", self.name, "queue name")
        if self.name in _RESERVED_NAMES:
            raise BadConfiguration(
                f"a queue cannot be named {self.name!r}: Asterisk uses that name"
            )
        _checked(r"[0-9]{2,20}", self.number, "queue number")
        _checked(r"[a-z]+", self.strategy, "queue strategy")
        _checked(r"[0-9]{0,20}", self.overflow_queue, "overflow queue")
        _checked(r"[0-9]{0,20}", self.overflow_mailbox, "overflow mailbox")
        _checked(r"[0-9*#]?", self.exit_key, "exit key")
        _checked(r"[0-9]{0,20}", self.exit_number, "exit number")
        _checked(r"[0-9]{0,20}", self.exit_mailbox, "exit mailbox")
        _checked(r"[A-Za-z0-9/._-]{0,200}", self.announcement, "announcement")
        exits = [self.exit_number, self.exit_mailbox, self.exit_menu]
        if self.exit_key and sum(map(bool, exits)) != 1:
            raise BadConfiguration(
                f"queue {self.name}: exit to a number, a mailbox or the menu, one of them"
            )
        if sum(map(bool, (self.overflow_queue, self.overflow_mailbox, self.overflow_menu))) > 1:
            raise BadConfiguration(
                f"queue {self.name}: overflow to a queue, a mailbox or the menu, one of them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneConfig:
    """An agent's phone: the SIP endpoint PJSIP/<extension>, dialled by that extension.

    Without `account_in_file` the number leads to an endpoint that is given to Asterisk while it
    runs (cti.phones.browser_phones).
    """

    extension: str
    agent_name: str
    account_in_file: bool = True

    def __post_init__(self) -> None:
        _checked(r"[0-9]{2,20}", self.extension, "extension")

    @property
    def caller_name(self) -> str:
        """The agent's name without the characters that mean something in a .conf file."""
        kept = (
            " "
            if letter in '";<>\\,[]()|' or unicodedata.category(letter) in _NO_LETTERS
            else letter
            for letter in self.agent_name
        )
        return "".join(kept).strip()[:79].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxConfig:
    """A voicemail box that belongs to no phone. Every phone has one by its extension."""

    number: str
    name: str

    def __post_init__(self) -> None:
        _checked(r"[0-9]{2,20}", self.number, "mailbox number")
        _checked(r"[^\x00-\x1f\x7f,;\[\]<>|]{1,79}", self.name, "mailbox name")


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuConfig:
    """A menu in the dialplan: plays `prompt` (a sound's name), one key chooses a number."""

    number: str
    choices: Mapping[str, str]
    prompt: str = "vm-press&digits/1&silence/1&vm-press&digits/2"
    wait_seconds: int = 10

    def __post_init__(self) -> None:
        _checked(r"[0-9]{2,20}", self.number, "menu number")
        _checked(r"[A-Za-z0-9/&_-]+", self.prompt, "menu prompt")
        for key, number in self.choices.items():
            _checked(r"[0-9*#]", key, f"menu {self.number} key")
            _checked(r"[0-9]{2,20}", number, f"menu {self.number} target")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneMenusConfig:
    """Where the service answers Asterisk for the phone menus (FastAGI), and the numbers that lead
    to one.

    `key` is the word by which the service knows its own PBX, `pbx` that PBX's name. `fallback` is
    the number of the queue that callers go to when the service is not there. No conversation lasts
    `longest_seconds`.
    """

    host: str
    port: int
    key: str = field(repr=False)
    pbx: str = "main"
    numbers: Sequence[str] = ()
    fallback: str = ""
    longest_seconds: int = 1_800

    def __post_init__(self) -> None:
        _checked(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}", self.host, "phone menus' host")
        _checked(r"[A-Za-z0-9]{16,100}", self.key, "phone menus' key")
        _checked(r"[a-z][a-z0-9_]{0,30}", self.pbx, "PBX name")
        _checked(r"[0-9]{0,20}", self.fallback, "fallback queue")
        if not 0 < self.port < 65_536:
            raise BadConfiguration(f"phone menus' port: {self.port} is none")
        for number in self.numbers:
            _checked(r"[0-9]{2,20}", number, "menu number")

    @property
    def address(self) -> str:
        """Host and port as an agi:// address has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxConfiguration:
    """All that the templates need, apart from ports and folders.

    `inbound_numbers` maps a number as the trunk dials it to an extension here. The trunk (the
    telephone network) is whoever sends from `trunk_address`; outbound calls go to
    `trunk_address:trunk_port`. A phone rings `head_start_seconds` after its agent's screen has the
    call, and `head_start_limit_seconds` after it could have if nobody says so.
    """

    queues: Sequence[QueueConfig] = ()
    phones: Sequence[PhoneConfig] = ()
    menus: Sequence[MenuConfig] = ()
    phone_menus: PhoneMenusConfig | None = None
    mailboxes: Sequence[MailboxConfig] = ()
    inbound_numbers: Mapping[str, str] = field(default_factory=dict)
    trunk_address: str = "127.0.0.2"
    trunk_port: int = 0
    direct_ring_seconds: int = 20
    outbound_ring_seconds: int = 60
    parking_seconds: int = 45
    head_start_seconds: float = 0.02
    head_start_limit_seconds: float = 0.25
    qualify_seconds: int = 30
    echo_number: str = "699"
    fax_number: str = "698"
    fax_station: str = ""
    conference_pattern: str = "80X"

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.trunk_address)
        _checked(r"[0-9]{2,20}", self.echo_number, "echo number")
        _checked(r"[0-9]{2,20}", self.fax_number, "fax number")
        _checked(r"[0-9XZN]{2,20}", self.conference_pattern, "conference pattern")
        _checked(r"[+0-9 ]{0,20}", self.fax_station, "fax station")
        numbers = [
            *(queue.number for queue in self.queues),
            *(phone.extension for phone in self.phones),
            *(menu.number for menu in self.menus),
            *(self.phone_menus.numbers if self.phone_menus else ()),
            self.echo_number,
            self.fax_number,
        ]
        for number in numbers:
            if numbers.count(number) > 1:
                raise BadConfiguration(f"number {number} is given twice")
        for inbound, target in self.inbound_numbers.items():
            _checked(r"\+?[0-9]{2,20}", inbound, "inbound number")
            _checked(r"[0-9]{2,20}", target, f"inbound number {inbound}'s target")
        known = {queue.number for queue in self.queues}
        for queue in self.queues:
            if queue.overflow_queue and queue.overflow_queue not in known:
                raise BadConfiguration(
                    f"queue {queue.name}: no queue has the overflow number {queue.overflow_queue}"
                )
        if self.phone_menus and self.phone_menus.fallback not in {"", *known}:
            raise BadConfiguration(f"no queue has the number {self.phone_menus.fallback}")

    def all_mailboxes(self) -> list[MailboxConfig]:
        """The phones' boxes, the configured ones, and those that queues lead to."""
        boxes = {
            phone.extension: MailboxConfig(
                number=phone.extension, name=phone.caller_name or phone.extension
            )
            for phone in self.phones
        }
        for queue in self.queues:
            own = queue.number if self.phone_menus else ""
            for number in filter(None, (queue.overflow_mailbox, queue.exit_mailbox, own)):
                boxes.setdefault(number, MailboxConfig(number=number, name=queue.name))
        boxes.update({box.number: box for box in self.mailboxes})
        return list(boxes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an Asterisk of our own lives: its folders, addresses and ports.

    `module_folder` is "" for an installed Asterisk, which knows its own.
    """

    folder: Path
    run_folder: Path
    module_folder: str
    log_pipe: str
    bind_address: str
    sip_port: int
    ami_port: int
    http_port: int
    rtp_first: int
    rtp_last: int


class Secrets:
    """Generated secrets, kept in one file of mode 0600, the same over restarts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, str] = {}
        if file.exists():
            self._known = json.loads(file.read_text())

    def _secret(self, name: str, length: int = 24, alphabet: str = "") -> str:
        if name not in self._known:
            letters = alphabet or "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
            self._known[name] = "".join(random_secrets.choice(letters) for _ in range(length))
            write_private(self._file, json.dumps(self._known, indent=1))
        return self._known[name]

    @property
    def ami(self) -> str:
        return self._secret("ami", 32)

    @property
    def ari(self) -> str:
        return self._secret("ari", 32)

    @property
    def menus(self) -> str:
        return self._secret("menus", 32)

    def phone(self, extension: str) -> str:
        return self._secret(f"phone {extension}")

    def mailbox_pin(self, number: str) -> str:
        return self._secret(f"mailbox {number}", 6, "0123456789")


def write_private(file: Path, text: str) -> None:
    """Write `file` whole or not at all, readable by its owner only."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as writer:
        writer.write(text)
    new.replace(file)


def understands_event_filters(version: tuple[int, ...]) -> bool:
    """Whether `eventfilter(name(...),...)` is known (20.12, 21.7, 22.2 and all after)."""
    first = {20: (20, 12), 21: (21, 7), 22: (22, 2)}
    return version >= first.get(version[0], (23,))


def media_address(bind_address: str) -> str:
    """Where sound comes and goes if Asterisk is bound to this address; "" if it chooses itself."""
    return "" if ipaddress.ip_address(bind_address).is_unspecified else bind_address


def ari_needs_websocket_client(version: tuple[int, ...]) -> bool:
    """Whether res_ari does not load without res_websocket_client (20.15, 21.10, 22.5 and later)."""
    first = {18: (19,), 19: (20,), 20: (20, 15), 21: (21, 10), 22: (22, 5)}
    return version >= first.get(version[0], (23,))


def render(
    configuration: PbxConfiguration,
    folder: Path,
    secrets: Secrets,
    version: tuple[int, ...],
    place: Place | None = None,
) -> list[Path]:
    """Write the configuration's files into `folder` (mode 0700) and return them.

    With `place`, a complete configuration for an Asterisk of our own; without, files that a system
    Asterisk's own files `#include` (see docs/asterisk.md).
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - these are .conf files; the records check what goes in
    )
    values: dict[str, object] = {
        "for_system": place is None,
        "queues": configuration.queues,
        "phones": configuration.phones,
        "menus": configuration.menus,
        "phone_menus": configuration.phone_menus,
        "fax_number": configuration.fax_number,
        "fax_station": configuration.fax_station,
        "fax_detect_seconds": FAX_DETECT_SECONDS,
        "mailboxes": configuration.all_mailboxes(),
        "first_place": queue_places.FIRST,
        "front_place": queue_places.FRONT,
        "inbound_numbers": configuration.inbound_numbers,
        "trunk_address": configuration.trunk_address,
        "trunk_port": configuration.trunk_port or 5060,
        "direct_ring_seconds": configuration.direct_ring_seconds,
        "outbound_ring_seconds": configuration.outbound_ring_seconds,
        "parking_seconds": configuration.parking_seconds,
        "head_start_seconds": configuration.head_start_seconds,
        "head_start_limit_seconds": configuration.head_start_limit_seconds,
        "can_wait_for_condition": version >= (18, 6),
        "unheard_cause": UNHEARD_CAUSE,
        "phone_back_seconds": PHONE_BACK_SECONDS,
        "qualify_seconds": configuration.qualify_seconds,
        "echo_number": configuration.echo_number,
        "conference_pattern": configuration.conference_pattern,
        "secrets": secrets,
        "ami_user": AMI_USER,
        "ari_user": ARI_USER,
        "http_address": HTTP_ADDRESS,
        "ami_permit": "127.0.0.0/255.0.0.0",
        "wanted_events": WANTED_EVENTS,
        "ari_needs_websocket_client": ari_needs_websocket_client(version),
        "new_event_filters": understands_event_filters(version),
        "transport_name": "transport-udp",
        "media_address": "",
    }
    names = ["extensions", "queues", "pjsip", "manager", "voicemail", "ari", "sorcery"]
    if place is not None:
        names += ["features", "res_parking", "confbridge", "musiconhold"]
        names += [f"embedded/{name}" for name in ("asterisk", "cdr", "http")]
        names += [f"embedded/{name}" for name in ("indications", "logger", "modules", "rtp")]
        values |= {slot: getattr(place, slot) for slot in place.__slots__}
        values["media_address"] = media_address(place.bind_address)
        wildcard = not values["media_address"]
        if not ipaddress.ip_address(place.bind_address).is_loopback and not wildcard:
            values["ami_permit"] = f"{place.bind_address}/255.255.255.255"
    written = []
    for name in names:
        file = folder / f"{name.removeprefix('embedded/')}.conf"
        write_private(file, environment.get_template(f"{name}.conf.j2").render(values))
        written.append(file)
    if place is not None:
        for name in EMPTY_FILES:
            write_private(folder / f"{name}.conf", "")
    return written


def _template(name: str) -> str:
    return (resources.files("asterisk_conf") / name).read_text(encoding="utf-8")
