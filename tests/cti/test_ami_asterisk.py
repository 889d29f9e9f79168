"""The AMI link on a real Asterisk: what the scripted server only claims about it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest

from cti.ami.actions import MAX_ACTION_HEADERS, MAX_ACTION_LINE, write_headers
from cti.ami.framing import AmiFramer
from cti.ami.link import ActionFailed, LinkState
from tests.asterisk_fixtures import SharedPbx
from tests.cti.ami_owner import Owner, eventually

pytestmark = pytest.mark.asterisk


def owner_at(pbx: SharedPbx, **settings: object) -> Owner:
    login = {"user": pbx.ami_user, "secret": pbx.ami_secret}
    return Owner(pbx.ami_port, {**login, **settings})


@pytest.fixture
async def owner(pbx: SharedPbx) -> AsyncIterator[Owner]:
    record = io.BytesIO()
    owner = owner_at(pbx, record=record)
    owner.link.start()
    await owner.link.wait_up()
    yield owner
    await owner.link.close()
    assert AmiFramer().feed(record.getvalue()) == owner.messages
    assert pbx.ami_secret.encode() not in record.getvalue()


async def test_the_link_comes_up_and_hears_fully_booted(owner: Owner) -> None:
    assert owner.names()[0] == "FullyBooted"
    assert owner.link.framer.banner.startswith("Asterisk Call Manager/")
    await eventually(lambda: owner.link.round_trip is not None)
    assert owner.link.logins == 1


async def test_a_wrong_secret_is_refused_and_said(pbx: SharedPbx) -> None:
    owner = owner_at(pbx, secret="wrong", backoff=(60, 60))
    owner.link.start()
    await eventually(lambda: owner.link.state is LinkState.REFUSED)
    assert owner.link.cause == "login refused: Authentication failed"
    await owner.link.close()


async def test_lists_come_whole(owner: Owner) -> None:
    queues = await owner.link.list_action("QueueStatus")
    names = {item["Queue"] for item in queues if item["Event"] == "QueueParams"}
    assert {"service", "sales"} <= names
    assert await owner.link.list_action("QueueStatus", Queue="no such queue") == []
    assert isinstance(await owner.link.list_action("CoreShowChannels"), list)
    assert await owner.link.list_action("ParkedCalls") == []


async def test_queue_members_come_and_go_and_refusals_have_their_reason(owner: Owner) -> None:
    member = {"Queue": "service", "Interface": "PJSIP/1005"}
    added = await owner.link.action("QueueAdd", MemberName="王 芳 é 🙂", **member)
    assert added.message == "Added interface to queue"
    with pytest.raises(ActionFailed, match="Already there"):
        await owner.link.action("QueueAdd", **member)
    await eventually(lambda: "QueueMemberAdded" in owner.names())
    [news] = [m for m in owner.messages if m.get("Event") == "QueueMemberAdded"]
    assert news["MemberName"] == "王 芳 é 🙂"
    await owner.link.action("QueuePause", Interface="PJSIP/1005", Paused=True, Reason="lunch")
    [paused] = [
        item
        for item in await owner.link.list_action("QueueStatus", Queue="service")
        if item["Event"] == "QueueMember"
    ]
    assert (paused["Paused"], paused["PausedReason"]) == ("1", "lunch")
    await owner.link.action("QueueRemove", **member)
    with pytest.raises(ActionFailed, match="Not there"):
        await owner.link.action("QueueRemove", **member)
    with pytest.raises(ActionFailed, match="Permission denied"):
        await owner.link.action("Command", Command="core show uptime")
    with pytest.raises(ActionFailed, match="unknown"):
        await owner.link.list_action("NoSuchAction")


async def test_the_end_of_an_originate_comes_with_its_action_id(owner: Owner) -> None:
    answer = await owner.link.action(
        "Originate",
        Channel="PJSIP/1001",  # nobody is registered there
        Context="from-agents",
        Exten="600",
        Priority=1,
        Timeout=1000,
        Variable=["A=1", "B=2"],
        ActionID="dial-1",
    )
    assert answer.message == "Originate successfully queued"
    await owner.got("OriginateResponse")
    [outcome] = [m for m in owner.messages if m.get("Event") == "OriginateResponse"]
    assert (outcome["ActionID"], outcome["Response"]) == ("dial-1", "Failure")


async def test_the_longest_line_is_read_whole_and_the_next_longer_one_is_not(
    pbx: SharedPbx, owner: Owner
) -> None:
    longest = "x" * (MAX_ACTION_LINE - len("Value: "))
    await owner.link.action("Setvar", Variable="LONGEST", Value=longest)
    read = await owner.link.action("Getvar", Variable="LONGEST")
    assert read.headers["Value"] == longest

    reader, writer = await asyncio.open_connection("127.0.0.1", pbx.ami_port)
    login = {"Action": "Login", "Username": pbx.ami_user, "Secret": pbx.ami_secret}
    writer.write(write_headers({**login, "Events": "off"}) + b"\r\n")
    long = b"Action: Setvar\r\nVariable: LONGER\r\nValue: " + longest.encode() + b"x\r\n\r\n"
    writer.write(long)
    said = b""
    while b"too long" not in said:
        said += await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    await writer.wait_closed()


async def test_as_many_headers_as_allowed_are_read(owner: Owner) -> None:
    many = [f"X={number}" for number in range(MAX_ACTION_HEADERS - 3)]
    await owner.link.action("Setvar", Filler=many, Variable="LAST", Value="read")
    assert (await owner.link.action("Getvar", Variable="LAST")).headers["Value"] == "read"
