"""The doctor's look at phones in browsers: microphone, sound, script, accounts, recordings.

Owns what must be so that an agent's page can be a telephone, as far as settings and files tell it.
Whether Asterisk's WebSocket answers is doctor_pbx's.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

import agent_desk
from cti.pbx.configuration import HTTP_ADDRESS
from deskbell.finding import Finding, fail, ok, warn
from deskbell.settings import PbxSettings, Settings

ARI_SECONDS = 5.0
SCRIPT = Path(agent_desk.__file__).parent / "static/vendor/jssip.js"


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """All findings about phones in browsers; recordings are heard there too."""
    yield _script()
    yield _microphone(settings)
    for pbx in settings.pbx:
        for finding in (*_sound(settings, pbx), *_recordings(pbx)):
            yield finding
        found = await _accounts(pbx)
        if found is not None:
            yield found


def _script() -> Finding:
    if SCRIPT.is_file() and SCRIPT.stat().st_size:
        return ok("phone in the page", f"{SCRIPT.name} is there")
    return fail(
        "phone in the page",
        f"{SCRIPT} is missing: no page can telephone",
        "run: python3 bootstrap.py check",
    )


def _microphone(settings: Settings) -> Finding:
    """Browsers give it to secure contexts only: https, or the very machine."""
    desk = settings.desk
    scheme = "https" if desk.tls_certificate else "http"
    url = desk.public_url or f"{scheme}://{desk.host}"
    address = urlsplit(url)
    if address.scheme == "https":
        return ok("microphone", f"pages come by https ({url})")
    if _is_here(address.hostname or ""):
        return ok("microphone", "pages are for browsers on this machine only")
    return warn(
        "microphone",
        f"pages come by plain http ({url}): browsers on other machines give no microphone",
        "set [desk] tls_certificate and tls_key, or a proxy with https and its public_url",
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _sound(settings: Settings, pbx: PbxSettings) -> Iterator[Finding]:
    """Voice does not come by way of the desk: the browser must reach Asterisk itself."""
    desk = settings.desk
    seen_elsewhere = bool(desk.public_url) or not _is_here(desk.host)
    heard_at = pbx.bind_address if pbx.mode == "embedded" else pbx.media_address
    if seen_elsewhere and heard_at and _is_here(heard_at):
        setting = "bind_address" if pbx.mode == "embedded" else "media_address"
        yield warn(
            f"PBX {pbx.name} sound",
            f"the desk is seen from other machines, its voice is at {heard_at} only",
            f"set [pbx] {setting} to the address at which agents reach this machine",
        )


def _recordings(pbx: PbxSettings) -> Iterator[Finding]:
    topic, folder = f"PBX {pbx.name} recordings", pbx.sound_folder
    if folder is None:
        yield warn(
            topic,
            "its recordings cannot be played: recordings_folder is not set",
            "mount Asterisk's spool folder monitor here and name it in [pbx] recordings_folder",
        )
    elif pbx.mode == "external" and not os.access(folder, os.R_OK | os.X_OK):
        yield warn(topic, f"{folder} cannot be read", "mount it, and let this user read it")
    elif pbx.mode == "embedded" and folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        yield fail(topic, f"{folder} may not be written", f"let this user write to {folder}")


async def _accounts(pbx: PbxSettings) -> Finding | None:
    """Whether ARI, which gives pages their accounts, lets us in; None if that cannot be known."""
    topic = f"PBX {pbx.name} ARI"
    known = _ari_of(pbx)
    if known is None:
        return None
    url, user, secret = known
    sign_in = {"Authorization": aiohttp.encode_basic_auth(user, secret)}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ARI_SECONDS)) as http,
            http.get(f"{url}/ari/asterisk/ping", headers=sign_in) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, OSError) as error:
        remedy = "start the service" if pbx.mode == "embedded" else "see that Asterisk runs"
        return (warn if pbx.mode == "embedded" else fail)(
            topic,
            f"{url} does not answer: {type(error).__name__}",
            f"{remedy}; http.conf needs enabled = yes and a bindaddr that is reachable from here",
        )
    if status == 200:
        return ok(topic, f"{url} lets {user} in")
    if status in (401, 403):
        return fail(
            topic,
            f"{url} refuses user {user}",
            "compare [pbx] ari_user and ari_secret with ari.conf there",
        )
    return fail(
        topic,
        f"{url} answers {status}",
        "load res_ari and res_ari_asterisk, and set enabled = yes in ari.conf",
    )


def _ari_of(pbx: PbxSettings) -> tuple[str, str, str] | None:
    """Address, user and secret; an embedded one's stand in the files it was started with."""
    if pbx.mode == "external":
        secret = pbx.ari_secret.get_secret_value()
        return (pbx.ari_url.rstrip("/"), pbx.ari_user, secret) if pbx.ari_url else None
    try:
        http = (pbx.folder / "etc/http.conf").read_text(encoding="utf-8")
        ari = (pbx.folder / "etc/ari.conf").read_text(encoding="utf-8")
    except OSError:
        return None
    port = re.search(r"^bindport\s*=\s*(\d+)", http, re.MULTILINE)
    user = re.findall(r"^\[(\w+)\]", ari, re.MULTILINE)
    secret_line = re.search(r"^password\s*=\s*(\S+)", ari, re.MULTILINE)
    if port is None or not user or secret_line is None:
        return None
    return f"http://{HTTP_ADDRESS}:{port[1]}", user[-1], secret_line[1]
