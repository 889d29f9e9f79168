"""The doctor and the written channels: servers that answer, servers that do not, what is stuck."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import encode_basic_auth, web
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlalchemy import update

from crm_store.contacts import outbox
from crm_store.database import Database
from crm_store.models import Channel, MessageState, OutboxMessage
from deskbell import doctor_channels
from deskbell.channel_settings import MailSettings, SmsSettings
from deskbell.finding import Finding, State
from deskbell.settings import DeskSettings, Settings
from tests.store_fixtures import sqlite_database, sqlite_template, sqlite_url

__all__ = ["sqlite_database", "sqlite_template", "sqlite_url"]

pytestmark = pytest.mark.db

ADDRESS = "service@mall.example"
TWILIO = {"provider": "twilio", "sender": "+442079460000", "twilio_account": "AC" + "0" * 32}


async def _found(
    mail: dict[str, Any] | None = None, sms: dict[str, Any] | None = None
) -> list[Finding]:
    settings = Settings(
        mail=MailSettings.model_validate(mail or {}),
        sms=SmsSettings.model_validate(sms or {}),
        desk=DeskSettings(public_url="https://desk.mall.example"),
    )
    return [finding async for finding in doctor_channels.reached(settings)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _let_in(
    _server: object, _session: object, _envelope: object, _mechanism: str, data: LoginPassword
) -> AuthResult:
    return AuthResult(success=data.password == b"right")


async def test_what_is_not_set_up_is_no_fault() -> None:
    assert [finding.state for finding in await _found()] == [State.OK, State.OK]


async def test_a_mail_server_that_lets_us_in() -> None:
    port = _free_port()
    server = Controller(
        Sink(), hostname="127.0.0.1", port=port, authenticator=_let_in, auth_require_tls=False
    )
    server.start()
    try:
        mail = {"addresses": [ADDRESS], "server": "127.0.0.1", "port": port, "encryption": "none"}
        (found, _) = await _found(mail)
        assert found.state is State.OK
        (found, _) = await _found({**mail, "user": "desk", "password": "right"})
        assert found.state is State.OK
        (found, _) = await _found({**mail, "user": "desk", "password": "wrong"})
        assert found.state is State.FAIL
        assert "password" in found.remedy
        (found, _) = await _found({**mail, "encryption": "starttls"})
        assert found.state is State.FAIL, "it has no STARTTLS"
    finally:
        server.stop()


async def test_servers_that_are_not_there() -> None:
    port = _free_port()
    found = await _found(
        {
            "addresses": [ADDRESS],
            "inbox": "imap",
            "imap_host": "127.0.0.1",
            "imap_port": port,
            "imap_user": "desk",
            "imap_encryption": "none",
            "server": "127.0.0.1",
            "port": port,
        },
        {
            "provider": "smpp",
            "sender": "+442079460000",
            "smpp_host": "127.0.0.1",
            "smpp_port": port,
            "smpp_user": "mall",
        },
    )
    assert [finding.state for finding in found] == [State.FAIL] * 3
    assert all(str(port) in finding.message and finding.remedy for finding in found)


@pytest.fixture
async def twilio() -> AsyncIterator[str]:
    """Something that knows one account, as Twilio's API does."""

    async def messages(request: web.Request) -> web.Response:
        known = request.headers["Authorization"] == encode_basic_auth(
            request.match_info["sid"], "right"
        )
        return web.json_response({"messages": []}, status=200 if known else 401)

    app = web.Application()
    app.router.add_get("/2010-04-01/Accounts/{sid}/Messages.json", messages)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_account_of_twilio_is_asked_for(twilio: str) -> None:
    account = {**TWILIO, "twilio_url": twilio}
    (_, found) = await _found(sms={**account, "twilio_token": "right"})
    assert found.state is State.OK
    (_, found) = await _found(sms={**account, "twilio_token": "wrong"})
    assert (found.state, "token" in found.message) == (State.FAIL, True)


async def test_what_should_have_gone_out(sqlite_database: Database) -> None:
    async def findings() -> list[tuple[str, State]]:
        return [
            (finding.topic, finding.state)
            async for finding in doctor_channels.waiting(sqlite_database)
        ]

    assert await findings() == [("outbox", State.OK)]
    async with sqlite_database.transaction() as transaction:
        late = await outbox.write(
            transaction, channel=Channel.SMS, to="+442079460101", text="Your order is here."
        )
        failed = await outbox.write(
            transaction, channel=Channel.SMS, to="+442079460102", text="Your order is here."
        )
        session = transaction.session
        await session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id == late)
            .values(due_at=datetime.now(UTC) - timedelta(hours=1))
        )
        await session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id == failed)
            .values(state=MessageState.FAILED)
        )
    assert await findings() == [("outbox", State.WARN), ("outbox", State.WARN)]
