"""SMS and WhatsApp by Twilio, against an imitation of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import aiohttp
import orjson
import pytest
from sqlalchemy import select

from channels.messengers.messenger import MessengerSender, last_heard, pieces
from channels.messengers.whatsapp import WhatsApp
from channels.senders import NotNow, Outgoing, OutgoingFile, Refused
from channels.sms.segments import Price
from channels.sms.twilio_account import NotOurFile, TwilioAccount
from channels.sms.twilio_sender import TwilioSms
from crm_store.contacts import outbox, sending
from crm_store.contacts.conversations import NewConversation, open_conversation
from crm_store.contacts.messages import NewMessage, store
from crm_store.contacts.sending import AcceptedMessage
from crm_store.database import Database
from crm_store.models import Channel, OptOut
from crm_store.signals import Direction
from deskbell.outside.twilio import API, BROKEN, BUSY_ONCE, CUT_OFF, OutsideFile
from deskbell.outside.world import OutsideWorld

pytestmark = pytest.mark.db

CUSTOMER = "+8613800138000"
OURS = "+862155550600"

keys = count(1)


def outgoing(
    text: str,
    *,
    to: str = CUSTOMER,
    is_repeat: bool = False,
    files: tuple[OutgoingFile, ...] = (),
) -> Outgoing:
    number = next(keys)
    return Outgoing(
        id=number,
        channel=Channel.SMS,
        to=to,
        text=text,
        idempotency_key=f"key {number}",
        is_repeat=is_repeat,
        files=files,
    )


@pytest.fixture
async def world() -> AsyncIterator[OutsideWorld]:
    async with OutsideWorld() as running:
        yield running


@pytest.fixture
async def account(world: OutsideWorld, sqlite_database: Database) -> AsyncIterator[TwilioAccount]:
    account = TwilioAccount(sqlite_database, world.account, world.token, url=world.sms_url)
    yield account
    await account.close()


@pytest.fixture
def sms(sqlite_database: Database, account: TwilioAccount) -> TwilioSms:
    return TwilioSms(sqlite_database, account, sender=OURS, price=Price(45_000, "CNY"))


async def test_a_message_is_handed_over_with_its_price(sms: TwilioSms, world: OutsideWorld) -> None:
    accepted = await sms.send(outgoing("您的包裹已经到了" * 10))
    (message,) = world.twilio.messages
    assert (message.to, message.sender) == (CUSTOMER, OURS)
    assert message.body == "您的包裹已经到了" * 10
    assert accepted.provider_id == message.sid
    assert (accepted.segments, accepted.cost_micros, accepted.cost_currency) == (2, 90_000, "CNY")


async def test_curly_quotes_do_not_make_it_dearer(sms: TwilioSms, world: OutsideWorld) -> None:
    await sms.send(outgoing("“Ready” – come in…"))
    assert world.twilio.messages[0].body == '"Ready" - come in...'


@pytest.mark.parametrize(
    ("number", "bad_address"),
    [
        ("+15005550001", True),
        ("+15005550002", False),
        ("+15005550003", False),
        ("+15005550009", True),
    ],
)
async def test_what_twilio_never_takes(sms: TwilioSms, number: str, bad_address: bool) -> None:
    with pytest.raises(Refused) as refused:
        await sms.send(outgoing("Hello", to=number))
    assert refused.value.bad_address is bad_address
    assert number not in refused.value.why


async def test_who_told_twilio_to_stop_is_opted_out_here_too(
    sms: TwilioSms, sqlite_database: Database
) -> None:
    with pytest.raises(Refused):
        await sms.send(outgoing("Hello", to="+15005550004"))
    async with sqlite_database.reading() as session:
        (row,) = (await session.scalars(select(OptOut))).all()
    assert (row.channel, row.address, row.by) == (Channel.SMS, "+15005550004", "twilio")


async def test_a_busy_twilio_is_asked_again_later(sms: TwilioSms, world: OutsideWorld) -> None:
    with pytest.raises(NotNow):
        await sms.send(outgoing("Hello", to=BUSY_ONCE))
    await sms.send(outgoing("Hello", to=BUSY_ONCE))
    assert len(world.twilio.messages) == 1


async def test_a_broken_twilio_whose_list_has_no_such_message_took_none(sms: TwilioSms) -> None:
    with pytest.raises(NotNow):
        await sms.send(outgoing("Hello", to=BROKEN))


async def test_no_twilio_at_all_is_certain(sqlite_database: Database) -> None:
    account = TwilioAccount(sqlite_database, "AC" + "0" * 32, "token", url="http://127.0.0.1:1")
    with pytest.raises(NotNow):
        await TwilioSms(sqlite_database, account, sender=OURS).send(outgoing("Hello"))
    await account.close()


async def test_wrong_credentials_are_not_the_messages_fault(
    world: OutsideWorld, sqlite_database: Database
) -> None:
    account = TwilioAccount(sqlite_database, world.account, "wrong", url=world.sms_url)
    with pytest.raises(NotNow):
        await TwilioSms(sqlite_database, account, sender=OURS).send(outgoing("Hello"))
    await account.close()


async def test_what_was_taken_before_the_line_was_cut_is_found_and_not_sent_twice(
    sms: TwilioSms, world: OutsideWorld
) -> None:
    with pytest.raises(aiohttp.ClientError):
        await sms.send(outgoing("Your order is ready", to=CUT_OFF))
    (message,) = world.twilio.messages
    accepted = await sms.send(outgoing("Your order is ready", to=CUT_OFF, is_repeat=True))
    assert accepted.provider_id == message.sid
    assert len(world.twilio.messages) == 1


async def test_an_earlier_message_with_the_same_words_is_another_one(
    sms: TwilioSms, world: OutsideWorld, sqlite_database: Database
) -> None:
    first = await sms.send(outgoing("Your order is ready"))
    async with sqlite_database.transaction() as transaction:
        row = await outbox.write(
            transaction, channel=Channel.SMS, to=CUSTOMER, text="Your order is ready"
        )
        await sending.claim(transaction, Channel.SMS, "test", limit=1, lease_s=60)
        await sending.accepted(
            transaction, [AcceptedMessage(id=row, provider_id=first.provider_id)]
        )
    second = await sms.send(outgoing("Your order is ready", is_repeat=True))
    assert second.provider_id != first.provider_id
    assert len(world.twilio.messages) == 2


async def test_files_and_endless_texts_are_refused(sms: TwilioSms, tmp_path: Path) -> None:
    file = OutgoingFile(name="a.pdf", media_type="application/pdf", path=tmp_path / "a")
    with pytest.raises(Refused):
        await sms.send(outgoing("Here it is", files=(file,)))
    with pytest.raises(Refused):
        await sms.send(outgoing("a" * 1_601))


# ---- customers' files ----------------------------------------------------------------------------


async def test_a_file_is_fetched_with_the_accounts_credentials(
    account: TwilioAccount, world: OutsideWorld
) -> None:
    file = OutsideFile(media_type="image/png", content=b"\x89PNG")
    world.twilio.messages_url = world.page_url + "/nowhere"
    await world.twilio.customer_writes(CUSTOMER, OURS, "", files=[file])
    (message,) = world.twilio.messages
    url = f"{world.sms_url}{API}/{world.account}/Messages/{message.sid}/Media/{file.sid}"
    assert await account.fetch_file(url) == ("image/png", b"\x89PNG")
    missing = url.removesuffix(file.sid) + "ME" + "0" * 32
    with pytest.raises(NotOurFile):
        await account.fetch_file(missing)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "http://127.0.0.1:22/2010-04-01/Accounts/AC{0}/Messages/MM{0}/Media/ME{0}",
        "{ours}@evil.example/2010-04-01/Accounts/AC{0}/Messages/MM{0}/Media/ME{0}",
        "{ours}/2010-04-01/Accounts/AC{0}/Messages/MM{0}/Media/../../../Keys.json",
        "{ours}/2010-04-01/Accounts/AC{0}/Messages/MM{0}/Media/ME{0}?x=1",
        "{ours}/",
        "",
    ],
)
async def test_a_file_elsewhere_is_never_asked_for(
    account: TwilioAccount, world: OutsideWorld, url: str
) -> None:
    with pytest.raises(NotOurFile):
        await account.fetch_file(url.replace("{ours}", world.sms_url).replace("{0}", "0" * 32))


# ---- WhatsApp ------------------------------------------------------------------------------------

ADDRESS = f"whatsapp:{CUSTOMER}"


@pytest.fixture
async def heard_from(sqlite_database: Database, world: OutsideWorld) -> None:
    """The customer has written, here and at Twilio."""
    world.twilio.messages_url = world.page_url + "/nowhere"
    await world.twilio.customer_writes(ADDRESS, f"whatsapp:{OURS}", "Hello")
    await keep(sqlite_database, datetime.now(UTC))


async def keep(database: Database, at: datetime) -> None:
    async with database.transaction() as transaction:
        conversation_id = await open_conversation(
            transaction, NewConversation(channel=Channel.MESSENGER, address=ADDRESS, at=at)
        )
        await store(
            transaction,
            NewMessage(
                conversation_id=conversation_id,
                direction=Direction.INBOUND,
                channel=Channel.MESSENGER,
                external_key=f"SM{at.timestamp()}",
                sender=ADDRESS,
                text="Hello",
                at=at,
            ),
        )


def whatsapp(database: Database, account: TwilioAccount, template: str = "") -> MessengerSender:
    return MessengerSender(
        [
            WhatsApp(
                database,
                account,
                sender=OURS,
                template=template,
                file_url=lambda file: f"https://desk.example/hooks/files/{file.name}",
            )
        ]
    )


@pytest.mark.usefixtures("heard_from")
async def test_within_a_day_anything_may_be_written(
    sqlite_database: Database, account: TwilioAccount, world: OutsideWorld, tmp_path: Path
) -> None:
    files = tuple(
        OutgoingFile(name=name, media_type="image/png", path=tmp_path / name)
        for name in ("a.png", "b.png")
    )
    await whatsapp(sqlite_database, account).send(outgoing("Look:", to=ADDRESS, files=files))
    sent = [one for one in world.twilio.messages if one.direction == "outbound-api"]
    assert [(one.sender, one.to, one.body) for one in sent] == [
        (f"whatsapp:{OURS}", ADDRESS, "Look:"),
        (f"whatsapp:{OURS}", ADDRESS, ""),
    ]
    assert [one.files[0].url for one in sent] == [
        "https://desk.example/hooks/files/a.png",
        "https://desk.example/hooks/files/b.png",
    ]


async def test_after_a_day_only_a_template_may_be_written(
    sqlite_database: Database, account: TwilioAccount, world: OutsideWorld
) -> None:
    await keep(sqlite_database, datetime.now(UTC) - timedelta(hours=25))
    with pytest.raises(Refused, match="24 hours"):
        await whatsapp(sqlite_database, account).send(outgoing("It is here", to=ADDRESS))
    template = "HX" + "0" * 32
    await whatsapp(sqlite_database, account, template).send(
        outgoing("It is\nhere, {{2}}", to=ADDRESS)
    )
    (sent,) = world.twilio.messages
    name, _, value = sent.body.partition(" ")
    assert name == f"[{template}]"
    assert orjson.loads(value) == {"1": "It is here, {{2}}"}


async def test_another_messengers_address_is_nobodys(
    sqlite_database: Database, account: TwilioAccount
) -> None:
    for address in ("signal:+8613800138000", CUSTOMER, "whatsapp:", ""):
        with pytest.raises(Refused):
            await whatsapp(sqlite_database, account).send(outgoing("Hello", to=address))


@pytest.mark.usefixtures("heard_from")
async def test_when_they_last_wrote(sqlite_database: Database) -> None:
    assert await last_heard(sqlite_database, ADDRESS) is not None
    assert await last_heard(sqlite_database, "whatsapp:+1") is None


def test_long_texts_are_cut_between_words() -> None:
    text = "one two three. " * 200 + "\n\n" + "您好。" * 300
    cut = pieces(text, 1_600)
    assert all(0 < len(piece.encode()) <= 1_600 for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(not piece.endswith("tw") for piece in cut)
    assert pieces("", 10) == []
    assert pieces("您" * 10, 10) == ["您您您", "您您您", "您您您", "您"]
