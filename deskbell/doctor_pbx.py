"""The doctor's look at one PBX: AMI and its permissions, dialplan, queues, WebSocket, clock.

Owns what a healthy PBX looks like from outside. An embedded one is found by the files it was
started with; its secrets are read there and never shown.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import websockets

from crm_store.staff.agents import AgentRecord
from crm_store.staff.queues import QueueRecord
from cti.ami.link import AmiError, AmiLink, LinkState
from cti.pbx.configuration import AMI_USER, HTTP_ADDRESS
from deskbell.finding import Finding, drift, fail, ok, warn
from deskbell.settings import PbxSettings

LINK_SECONDS = 8.0
WEBSOCKET_SECONDS = 5.0
# What the service says to Asterisk, and what is lost if it may not.
ACTIONS = {
    "QueueStatus": "see queues and agents",
    "QueueAdd": "sign agents in",
    "QueueRemove": "sign agents out",
    "QueuePause": "pause agents",
    "CoreShowChannels": "see calls after a restart",
    "Hangup": "end calls",
    "Redirect": "transfer calls",
    "Originate": "place calls",
}
WRITE_CLASSES = "system,call,agent,originate,reporting"
"""All that Deskbell uses; without `system` it cannot record."""
CONTEXTS = ("from-trunk", "from-agents", "agent-leg")
INCLUDE = "write Deskbell's files (deskbell asterisk-conf DIR) and #include them: docs/asterisk.md"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a PBX is reached."""

    host: str
    ami_port: int
    ami_user: str
    ami_secret: str
    http_host: str
    http_port: int


async def examine(
    pbx: PbxSettings, queues: Sequence[QueueRecord] | None, agents: Sequence[AgentRecord] | None
) -> AsyncIterator[Finding]:
    """All findings about one PBX. `queues` and `agents` are None if the store could not tell."""
    topic = f"PBX {pbx.name}"
    place = _place_of(pbx)
    if place is None:
        yield warn(
            topic,
            f"never started: {pbx.folder} holds no Asterisk configuration",
            "start the service; it fetches Asterisk where there is none, and starts it",
        )
        return
    failed = asyncio.Event()
    link = AmiLink(
        place.host,
        place.ami_port,
        place.ami_user,
        place.ami_secret,
        wanted_events=frozenset(),
        on_message=lambda message: None,
        on_up=_nothing,
        on_down=lambda cause: failed.set(),
        events="off",
    )
    link.start()
    try:
        await _settled(link, failed)
        if link.state is not LinkState.UP:
            yield _no_link(topic, pbx, place, link)
        else:
            yield ok(f"{topic} AMI", f"signed in at {place.host}:{place.ami_port}")
            async for finding in _over_ami(topic, link, queues):
                yield finding
    finally:
        await link.close()
    yield await _websocket(topic, pbx, place, agents or ())


async def _nothing() -> None:
    return None


async def _settled(link: AmiLink, failed: asyncio.Event) -> None:
    """Return when the link is up, could not be had, or took too long."""
    waits = [asyncio.create_task(link.wait_up()), asyncio.create_task(failed.wait())]
    await asyncio.wait(waits, timeout=LINK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


def _place_of(pbx: PbxSettings) -> _Place | None:
    if pbx.mode == "external":
        secret = pbx.ami_secret.get_secret_value()
        web = urlsplit(pbx.ari_url)
        http_host, http_port = web.hostname or pbx.ami_host, web.port or pbx.http_port
        return _Place(pbx.ami_host, pbx.ami_port, pbx.ami_user, secret, http_host, http_port)
    etc = pbx.folder / "etc"
    ami = _values(etc / "manager.conf")
    http = _values(etc / "http.conf")
    if not ami.get("port") or not ami.get("secret"):
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(  # noqa: S104 - what to connect to instead
        ami.get("bindaddr", ""), ami.get("bindaddr", "127.0.0.1")
    )
    http_port = int(http.get("bindport", 0))
    return _Place(host, int(ami["port"]), AMI_USER, ami["secret"], HTTP_ADDRESS, http_port)


def _values(file: Path) -> dict[str, str]:
    """The settings of a rendered file, whatever their section; {} if it can't be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return {}
    return dict(re.findall(r"^(\w+)\s*=\s*([^\s;]+)", text, re.MULTILINE))


def _no_link(topic: str, pbx: PbxSettings, place: _Place, link: AmiLink) -> Finding:
    where = f"{place.host}:{place.ami_port}"
    if link.state is LinkState.REFUSED:
        return fail(
            f"{topic} AMI",
            f"{where} refuses user {place.ami_user}: {link.cause}",
            "compare [pbx] ami_user and ami_secret with manager.conf there, and its permit lines",
        )
    if pbx.mode == "embedded":
        return warn(
            f"{topic} AMI",
            f"Asterisk is not running at {where}: {link.cause}",
            "start the service, which starts it; its log tells if Asterisk ends again",
        )
    return fail(
        f"{topic} AMI",
        f"{where} can't be reached: {link.cause}",
        "see that Asterisk runs there, that manager.conf has enabled = yes and a bindaddr that "
        "is reachable from here, and that no firewall is between",
    )


async def _over_ami(
    topic: str, link: AmiLink, queues: Sequence[QueueRecord] | None
) -> AsyncIterator[Finding]:
    for check in (_permissions, _recording, _dialplan, _clock):
        try:
            yield await check(topic, link)
        except AmiError as error:
            yield fail(
                f"{topic} AMI",
                f"a question was not answered: {error}",
                f"give the AMI user write = {WRITE_CLASSES} in manager.conf, then manager reload",
            )
    if queues is None:
        return
    try:
        async for finding in _queues(topic, link, queues):
            yield finding
    except AmiError as error:
        yield fail(f"{topic} queues", f"Asterisk lists none: {error}", INCLUDE)


async def _permissions(topic: str, link: AmiLink) -> Finding:
    allowed = {name.lower() for name in (await link.action("ListCommands")).headers}
    missing = {name: use for name, use in ACTIONS.items() if name.lower() not in allowed}
    if missing:
        uses = ", ".join(f"{use} ({name})" for name, use in missing.items())
        return fail(
            f"{topic} AMI permissions",
            f"the AMI user may not {uses}",
            f"give it write = {WRITE_CLASSES} in manager.conf, then: asterisk -rx 'manager reload'",
        )
    return ok(f"{topic} AMI permissions", f"all {len(ACTIONS)} actions are allowed")


async def _recording(topic: str, link: AmiLink) -> Finding:
    topic = f"{topic} recording"
    allowed = {name.lower() for name in (await link.action("ListCommands")).headers}
    if "mixmonitor" in allowed:
        return ok(topic, "calls can be recorded")
    return warn(
        topic,
        "the AMI user may not record calls (MixMonitor); all else works",
        f"give it write = {WRITE_CLASSES} in manager.conf, if calls shall be recorded",
    )


async def _dialplan(topic: str, link: AmiLink) -> Finding:
    missing = []
    for context in CONTEXTS:
        try:
            await link.list_action("ShowDialPlan", Context=context)
        except AmiError as error:
            if "permission" in str(error).lower():
                raise
            missing.append(context)
    if missing:
        return fail(f"{topic} dialplan", f"no context {', '.join(missing)}", INCLUDE)
    return ok(f"{topic} dialplan", f"has {', '.join(CONTEXTS)}")


async def _clock(topic: str, link: AmiLink) -> Finding:
    before = time.time()
    told = (await link.action("Ping")).headers.get("Timestamp", "")
    if not told:
        said = "Asterisk does not tell its time"
        return warn(f"{topic} clock", said, "is it Asterisk 18 or newer?")
    return drift(f"{topic} clock", float(told) - (before + time.time()) / 2)


async def _queues(
    topic: str, link: AmiLink, queues: Sequence[QueueRecord]
) -> AsyncIterator[Finding]:
    told = {
        event["Queue"]: event
        for event in await link.list_action("QueueStatus")
        if event.get("Event") == "QueueParams"
    }
    missing = [queue.name for queue in queues if queue.name not in told]
    reload = "restart the service (embedded), or write Deskbell's files anew: docs/asterisk.md"
    if missing:
        yield fail(f"{topic} queues", f"Asterisk has no queue {', '.join(missing)}", reload)
    other = [
        f"{queue.name} is {told[queue.name]['Strategy']}, not {queue.strategy}"
        for queue in queues
        if queue.name in told and told[queue.name].get("Strategy", queue.strategy) != queue.strategy
    ]
    if other:
        yield warn(f"{topic} queues", f"other strategy: {'; '.join(other)}", reload)
    if not queues:
        yield warn(f"{topic} queues", "none are configured", "add queues, or import the sample")
    elif not missing and not other:
        yield ok(f"{topic} queues", f"{', '.join(queue.name for queue in queues)}, as configured")


async def _websocket(
    topic: str, pbx: PbxSettings, place: _Place, agents: Sequence[AgentRecord]
) -> Finding:
    """Register as a browser's phone would, as far as the challenge: 401 is the right answer."""
    topic = f"{topic} WebSocket phones"
    if not place.http_port:
        return warn(
            topic,
            "not checked: no HTTP port is known",
            "set [pbx] ari_url, ari_user and ari_secret, so that browsers can be phones",
        )
    user = next((agent.extension for agent in agents if agent.extension), None) or "1001"
    host = f"[{place.http_host}]" if ":" in place.http_host else place.http_host
    address = f"ws://{host}:{place.http_port}/ws"
    try:
        async with (
            asyncio.timeout(WEBSOCKET_SECONDS),
            websockets.connect(
                address, subprotocols=[websockets.Subprotocol("sip")], proxy=None, compression=None
            ) as socket,
        ):
            await socket.send(_register(user, host))
            answer = await socket.recv()
    except TimeoutError:
        said = f"{address} does not answer a registration"
        return fail(topic, said, "load res_pjsip_transport_websocket, and set a ws transport")
    except (OSError, websockets.WebSocketException) as error:
        running = "start the service" if pbx.mode == "embedded" else "see that Asterisk runs"
        return (warn if pbx.mode == "embedded" else fail)(
            topic,
            f"{address} is not reachable: {error}",
            f"{running}; http.conf needs enabled = yes, and res_http_websocket must be loaded",
        )
    text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
    status = text.partition("\r\n")[0]
    if status.split(" ")[1:2] == ["401"]:
        return ok(topic, f"{address} asks phone {user} for its secret")
    return fail(
        topic,
        f"{address} answered {status!r} to phone {user}, not a challenge",
        "see that pjsip.conf has this phone with auth and aor: docs/asterisk.md",
    )


def _register(user: str, host: str) -> str:
    tag = secrets.token_hex(8)
    lines = (
        f"REGISTER sip:{host} SIP/2.0",
        f"Via: SIP/2.0/WS doctor.invalid;branch=z9hG4bK{tag}",
        "Max-Forwards: 70",
        f"From: <sip:{user}@{host}>;tag={tag}",
        f"To: <sip:{user}@{host}>",
        f"Call-ID: {tag}@doctor.invalid",
        "CSeq: 1 REGISTER",
        f"Contact: <sip:{user}@doctor.invalid;transport=ws>",
        "Expires: 60",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines)
