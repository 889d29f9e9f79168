"""Phones in browsers: the SIP accounts that one PBX is given while agents' pages hold their phones.

Owns what such an account is, its secret, which is made anew for each claim and kept in memory only,
and that Asterisk has exactly the accounts it shall have: after its restart, after ours, after a
page is gone. An agent has one endpoint, PJSIP/<extension>, whoever telephones with it: while a page
holds it, it is a WebRTC endpoint; else it is the desk phone's again (`resting`), or nothing.
Refuses to know sessions and pages, and never logs a secret.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cti.pbx.ari import Ari, AriFailed, HeldByFile

log = logging.getLogger(__name__)

SIP_DOMAIN: Final = "deskbell.invalid"
"""What stands behind the @ in a page's own address; Asterisk looks only at what is before it."""

SECRET_BYTES: Final = 32

KINDS: Final = ("auth", "aor", "endpoint")
"""The objects of an account, in the order in which each needs the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an endpoint asks for and shows: `caller_name` as it may stand in a header."""

    extension: str
    caller_name: str
    secret: str = field(repr=False)


class DeskAccount(Account):
    """A desk phone's standing account: what the endpoint is while no page holds it."""


class Claim(Account):
    """A page's account. `secret` is told to that page once, and to Asterisk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneMedia:
    """How phones of this PBX send and receive sound. "" as an address: Asterisk chooses."""

    address: str = ""
    silent_seconds: int = 90
    """A leg from which nothing is heard for so long is given up by Asterisk itself."""

    silent_on_hold_seconds: int = 600
    transport: str = "transport-udp"
    """The transport of desk phones."""


class BrowserPhones:
    """The accounts on one PBX. Each method raises AriFailed if Asterisk cannot be told."""

    def __init__(self, ari: Ari, media: PhoneMedia | None = None) -> None:
        self._ari = ari
        self._media = media or PhoneMedia()
        self._claims: dict[str, Claim] = {}
        self._resting: dict[str, DeskAccount] = {}
        self._given: dict[str, Account | None] = {}
        """What Asterisk was told last, by this process; the others it may have from an earlier."""
        self._extensions: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def web_socket(self) -> str:
        """Where these phones speak SIP."""
        return self._ari.address.web_socket

    def know(self, extensions: Iterable[str], resting: Mapping[str, DeskAccount]) -> None:
        """Name all extensions that may be claimed, and the desk phones' accounts among them."""
        self._extensions = set(extensions)
        self._resting = dict(resting)

    async def claim(self, extension: str, caller_name: str) -> Claim:
        """A fresh account for a page; the former one's secret is dead when this returns.

        Raises HeldByFile if pjsip.conf itself has an account of this name.
        """
        claim = Claim(
            extension=extension,
            caller_name=caller_name,
            secret=secrets.token_urlsafe(SECRET_BYTES),
        )
        async with self._locks[extension]:
            self._claims[extension] = claim
            try:
                await self._become(extension, claim)
            except AriFailed:
                del self._claims[extension]
                raise
        return claim

    async def release(self, extension: str) -> None:
        """The page's account is no more; the desk phone's comes back, if there is one."""
        async with self._locks[extension]:
            if self._claims.pop(extension, None) is not None:
                await self._become(extension, self._resting.get(extension))

    def holds(self, extension: str) -> bool:
        """Whether a page holds this phone."""
        return extension in self._claims

    async def restore(self) -> None:
        """Make Asterisk have what it shall have: it was started again, or we were, or agents came.

        What an earlier process of ours gave, and nobody holds now, is taken away.
        """
        for extension in sorted(self._extensions | self._claims.keys() | self._given.keys()):
            async with self._locks[extension]:
                account = self._claims.get(extension) or self._resting.get(extension)
                if extension in self._given and self._given[extension] == account:
                    if account is None or await self._ari.has_object("endpoint", extension):
                        continue
                    del self._given[extension]
                try:
                    await self._become(extension, account)
                except HeldByFile as error:
                    log.info("the phone %s cannot be in a browser: %s", extension, error)

    async def _become(self, extension: str, account: Account | None) -> None:
        former = self._given.pop(extension, None)
        if isinstance(former, Claim) and isinstance(account, Claim):
            await self._renew(former, account)
        else:
            await self._replace(extension, account)
        self._given[extension] = account

    async def _replace(self, extension: str, account: Account | None) -> None:
        """Another kind of phone: what the former one registered goes with its aor."""
        taken = [await self._ari.delete_object(kind, extension) for kind in reversed(KINDS)]
        if account is None:
            return
        if taken[0]:
            # Asterisk takes an endpoint's state down some time after it said that it did, and then
            # the next one's with it: that phone would never be free, and asking for it a crash.
            await self._ari.wait_until_gone(extension)
        of_kind = self._of_page if isinstance(account, Claim) else self._of_desk
        objects = of_kind(account)
        for kind in KINDS:
            await self._ari.put_object(kind, extension, objects[kind])

    async def _renew(self, former: Claim, claim: Claim) -> None:
        """The same kind of phone with another secret; a registered page stays registered."""
        objects = self._of_page(claim)
        await self._ari.put_object("auth", claim.extension, objects["auth"])
        if claim.caller_name != former.caller_name:
            await self._ari.put_object("endpoint", claim.extension, objects["endpoint"])

    def _of_page(self, claim: Account) -> Mapping[str, Mapping[str, str]]:
        return {
            "auth": _auth(claim.extension, claim.secret),
            "aor": {
                "max_contacts": "1",
                "remove_existing": "yes",
                "minimum_expiration": "10",
                "default_expiration": "300",
                "maximum_expiration": "3600",
                "support_path": "no",
                # A page that is frozen does not answer; a busy one may take its time.
                "qualify_frequency": "30",
                "qualify_timeout": "10.0",
            },
            "endpoint": {
                **self._endpoint(claim.extension, claim.caller_name),
                "webrtc": "yes",
                "dtls_auto_generate_cert": "yes",
                "allow": "!all,opus,ulaw,alaw",
                # The other party's name changes without a new negotiation of the sound.
                "connected_line_method": "update",
                "rtp_timeout": str(self._media.silent_seconds),
                "rtp_timeout_hold": str(self._media.silent_on_hold_seconds),
            },
        }

    def _of_desk(self, account: Account) -> Mapping[str, Mapping[str, str]]:
        return {
            "auth": _auth(account.extension, account.secret),
            "aor": {
                "max_contacts": "1",
                "remove_existing": "yes",
                "minimum_expiration": "10",
                "default_expiration": "3600",
                "maximum_expiration": "7200",
                "support_path": "yes",
                "qualify_frequency": "30",
                "qualify_timeout": "2.0",
            },
            "endpoint": {
                **self._endpoint(account.extension, account.caller_name),
                "transport": self._media.transport,
                "allow": "!all,ulaw,alaw,g722",
            },
        }

    def _endpoint(self, extension: str, caller_name: str) -> dict[str, str]:
        fields = {
            "context": "from-agents",
            "auth": extension,
            "aors": extension,
            "callerid": f'"{caller_name}" <{extension}>',
            "mailboxes": f"{extension}@deskbell",
            "dtmf_mode": "rfc4733",
            "direct_media": "no",
            "allow_subscribe": "yes",
            "send_pai": "yes",
            "trust_id_outbound": "yes",
            "call_group": "1",
            "pickup_group": "1",
            "language": "en",
        }
        if self._media.address:
            fields["media_address"] = self._media.address
            fields["bind_rtp_to_media_address"] = "yes"
        return fields


def _auth(extension: str, secret: str) -> dict[str, str]:
    return {"auth_type": "userpass", "username": extension, "password": secret}
