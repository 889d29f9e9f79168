from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from crm_store import text_search as words
from crm_store.contacts import (
    callbacks,
    conversations,
    interactions,
    messages,
    outbox,
    story,
    surveys,
    tasks,
)
from crm_store.contacts.callbacks import NewCallback
from crm_store.contacts.conversations import NewConversation
from crm_store.contacts.messages import NewMessage
from crm_store.contacts.story import KINDS, StoryFilter
from crm_store.contacts.tasks import NewTask
from crm_store.database import Database
from crm_store.models import (
    Call,
    CallState,
    Channel,
    ConversationState,
    Interaction,
    MessageState,
    Recording,
    WrapUp,
)
from crm_store.people import complaints, customers, merging, visits
from crm_store.people.customers import NewCustomer
from crm_store.phone_menus import menu_visits
from crm_store.phone_menus.menu_visits import MenuVisit, Step
from crm_store.shop import orders
from crm_store.shop.orders import Line, NewOrder
from crm_store.signals import Direction
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from crm_store.text_search import EntryKind

pytestmark = pytest.mark.db

NOW = datetime.now(UTC).replace(microsecond=250_000)


async def add_contact(
    database: Database, customer_id: int, summary: str, at: datetime, *,
    channel: Channel = Channel.PHONE, agent: str | None = "lin",
) -> int:  # fmt: skip
    async with database.transaction() as transaction:
        interaction: int = await interactions.open_interaction(
            transaction, channel=channel, direction=Direction.INBOUND, customer_id=customer_id,
            at=at, agent=agent, summary=summary, keyed=["2", "6200"],
        )  # fmt: skip
        await words.index_interaction(transaction, interaction)
        return interaction


@pytest.fixture
async def wang(database: Database) -> int:
    """A customer with one entry of each kind, and one more contact."""
    async with database.transaction() as transaction:
        wang = await customers.create(transaction, NewCustomer("王芳"), actor="lin")
    call = await add_contact(database, wang, "问运费", NOW - timedelta(days=2))
    await add_contact(
        database, wang, "late armchair", NOW - timedelta(days=9), channel=Channel.MAIL
    )
    async with database.transaction() as transaction:
        session = transaction.session
        call_id = await session.scalar(
            insert(Call).values(
                pbx="main", linkedid="1.1", state=CallState.ENDED, direction=Direction.INBOUND,
                caller="x", callee="600", rang=[], started_at=NOW, outcome="answered", talk_s=61.0,
            ).returning(Call.id)
        )  # fmt: skip
        await session.execute(
            update(Interaction).where(Interaction.id == call).values(call_id=call_id)
        )
        await session.execute(
            insert(WrapUp).values(interaction_id=call, agent="maria", note="转给仓库", saved_at=NOW)
        )
        marks = [{"kind": "pause", "at": 3.0, "by": "lin"}, {"kind": "resume", "at": 9.0}]
        for file, ended in (("a.wav", NOW + timedelta(seconds=61)), ("b.wav", None)):
            await session.execute(
                insert(Recording).values(
                    pbx="main", linkedid="1.1", file=file, started_by="lin", started_at=NOW,
                    ended_at=ended, marks=marks,
                )
            )  # fmt: skip
        await words.index_interaction(transaction, call)
        await tasks.create(
            transaction, NewTask(title="send the 运费 list", due_at=NOW, customer_id=wang),
            actor="lin",
        )  # fmt: skip
        await visits.plan(transaction, wang, NOW + timedelta(days=3), actor="maria", purpose="coat")
        await complaints.file(transaction, "armchair is late", actor="lin", customer_id=wang)
        await orders.place(
            transaction,
            NewOrder(
                lines=[Line("3001", {"en": "Sofa", "zh": "沙发"}, 2, 4_599_900)], currency="CNY",
                idempotency_key="o1", customer_id=wang, placed_at=NOW - timedelta(hours=5),
            ),
            actor="web",
        )  # fmt: skip
    return wang


async def test_all_kinds_newest_first(database: Database, wang: int) -> None:
    page = await story.read(database, wang)
    moments = [entry.at for entry in page.entries]
    assert moments == sorted(moments, reverse=True)
    assert page.older is None
    assert {entry.kind for entry in page.entries} == set(KINDS)
    assert len(page.entries) == 6
    assert page.entries[0].kind is EntryKind.VISIT
    call = next(entry for entry in page.entries if entry.details.get("summary") == "问运费")
    assert call.details["keyed"] == ["2", "6200"]
    assert call.details["call"]["talk_s"] == 61.0
    assert [(one["agent"], one["note"]) for one in call.details["wrap_ups"]] == [
        ("maria", "转给仓库")
    ]
    [recording] = call.details["recordings"]
    assert recording["seconds"] == 61.0
    assert recording["marks"][0]["kind"] == "pause"


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_join_to_the_whole_also_where_moments_are_equal(
    database: Database, wang: int, size: int
) -> None:
    for _ in range(4):
        await add_contact(database, wang, "same moment", NOW)
    async with database.transaction() as transaction:
        for _ in range(3):
            await visits.plan(transaction, wang, NOW, actor="lin")
    whole = (await story.read(database, wang)).entries
    pieces = []
    before = None
    while True:
        page = await story.read(database, wang, before=before, limit=size)
        pieces += page.entries
        before = page.older
        if before is None:
            break
    assert pieces == whole
    assert len(whole) == 13


async def test_what_was_heard_keyed_and_said_of_a_call_stands_with_it(
    database: Database, wang: int
) -> None:
    async with database.transaction() as transaction:
        for pbx in ("main", "other"):
            await menu_visits.write(
                transaction,
                MenuVisit(
                    pbx=pbx, linkedid="1.1", menu="main", language="zh", left_to=pbx,
                    entered_at=NOW, left_at=NOW + timedelta(seconds=42), customer_id=wang,
                    trail=[Step(1.5, "main", "欢迎致电", "2", "zh"),
                           Step(9.25, "points", "请输入密码", "••••", "zh")],
                ),
            )  # fmt: skip
        survey = await surveys.ask(
            transaction, pbx="main", linkedid="1.1", customer_id=wang, number="",
            queue="service", agent="lin", language="zh",
        )  # fmt: skip
        await surveys.agree(transaction, survey, True)
        await surveys.answer(transaction, survey, "satisfied", 4, is_satisfaction=True)
    page = await story.read(database, wang)
    call = next(entry for entry in page.entries if entry.details.get("summary") == "问运费")
    [visit] = call.details["menu_visits"]
    assert (visit["seconds"], visit["left_to"]) == (42.0, "main")
    assert visit["trail"][1] == {
        "at": 9.25, "place": "points", "heard": "请输入密码", "keyed": "••••", "language": "zh",
    }  # fmt: skip
    assert call.details["survey"] == {"agreed": True, "answers": {"satisfied": 4}}
    assert call.details["satisfaction"] == 4
    others = [entry for entry in page.entries if entry.details.get("menu_visits") == []]
    assert [entry.details["survey"] for entry in others] == [None]


async def test_an_order_and_a_kept_place_are_lines(database: Database, wang: int) -> None:
    async with database.transaction() as transaction:
        await queues.save(transaction, QueueRecord(name="service", number="601", titles={}))
        await callbacks.request(
            transaction,
            NewCallback(queue="service", number="+8613800138000", arrived_at=NOW,
                        name="王芳", customer_id=wang),
        )  # fmt: skip
    page = await story.read(database, wang)
    [order] = [entry for entry in page.entries if entry.kind is EntryKind.ORDER]
    assert order.details["total_minor"] == 9_199_800
    assert order.details["lines"] == [
        {
            "item_number": "3001",
            "names": {"en": "Sofa", "zh": "沙发"},
            "quantity": 2,
            "price_minor": 4_599_900,
        }
    ]
    assert [one["state"] for one in order.details["states"]] == ["placed"]
    [found] = (await story.read(database, wang, find=order.details["number"])).entries
    assert found == order
    assert (await story.read(database, wang, find="沙发")).entries == [order]
    kept = [entry for entry in page.entries if entry.details.get("callback")]
    assert [(entry.details["callback"]["state"], entry.details["title"]) for entry in kept] == [
        ("waiting", "service: 王芳")
    ]


async def test_filters(database: Database, wang: int) -> None:
    async def kinds(**values: object) -> list[str]:
        wanted = StoryFilter(**values)  # type: ignore[arg-type]
        return [entry.kind for entry in (await story.read(database, wang, wanted=wanted)).entries]

    assert await kinds(kinds=[EntryKind.COMPLAINT]) == ["complaint"]
    assert await kinds(channels=[Channel.MAIL]) == ["interaction"]
    assert await kinds(channels=[Channel.VISIT]) == ["visit"]
    assert await kinds(agent="maria") == ["visit"]
    assert await kinds(since=NOW + timedelta(days=1)) == ["visit"]
    assert await kinds(until=NOW - timedelta(days=5)) == ["interaction"]


async def test_search_within_pages_on(database: Database, wang: int) -> None:
    for day in range(5):
        await add_contact(
            database, wang, f"运费 {day}", NOW - timedelta(days=20 + day), agent="bob"
        )
    found = []
    before = None
    while True:
        page = await story.read(database, wang, find="运费", before=before, limit=2)
        found += [entry.details.get("summary") or entry.details["title"] for entry in page.entries]
        before = page.older
        if before is None:
            break
    assert found == ["send the 运费 list", "问运费", *(f"运费 {day}" for day in range(5))]
    filtered = StoryFilter(agent="bob", kinds=[EntryKind.INTERACTION])
    page = await story.read(database, wang, find="运费", wanted=filtered, limit=3)
    assert [entry.agent for entry in page.entries] == ["bob"] * 3
    assert (await story.read(database, wang, find="armchair late")).entries
    assert not (await story.read(database, wang, find="nothing of it")).entries


async def test_a_story_goes_on_after_a_merge(database: Database, wang: int) -> None:
    async with database.transaction() as transaction:
        kept = await customers.create(transaction, NewCustomer("Wang"), actor="lin")
        await merging.merge(transaction, wang, kept, actor="lin")
    # A call that was cached as the merged customer's is written late.
    await add_contact(database, wang, "written late", NOW)
    page = await story.read(database, kept)
    assert len(page.entries) == 7
    assert (await story.read(database, kept, find="written late")).entries
    assert page == await story.read(database, wang)


async def add_conversation(
    database: Database, customer_id: int, texts: Sequence[str], at: datetime
) -> int:
    """One with these mails in turn, theirs first, and an answer by SMS; its interaction."""
    async with database.transaction() as transaction:
        conversation = await conversations.open_conversation(
            transaction,
            NewConversation(
                channel=Channel.MAIL, address="wang@mail.example", customer_id=customer_id,
                subject="rugs", tags=["late"], queue="service", at=at,
            ),
        )  # fmt: skip
        for place, text in enumerate([*texts, "by SMS"]):
            written, _ = await messages.store(
                transaction,
                NewMessage(
                    conversation_id=conversation,
                    direction=Direction.OUTBOUND if place == len(texts) else Direction.INBOUND,
                    channel=Channel.SMS if place == len(texts) else Channel.MAIL,
                    text=text,
                    author="lin" if place == len(texts) else "",
                    at=at + timedelta(minutes=place),
                ),
            )
        await outbox.write(
            transaction, channel=Channel.SMS, to="+8613800138000", text="x", message_id=written
        )
        await messages.store(
            transaction,
            NewMessage(
                conversation_id=conversation, direction=Direction.INTERNAL, channel=Channel.MAIL,
                text="difficult", author="lin", at=at + timedelta(hours=1),
            ),
        )  # fmt: skip
    found = await conversations.find(database, conversation)
    assert found is not None
    return found.interaction_id


async def test_a_conversation_stands_with_its_newest_messages(
    database: Database, wang: int
) -> None:
    contact = await add_conversation(database, wang, [f"mail {n}" for n in range(6)], NOW)
    page = await story.read(database, wang, wanted=StoryFilter(channels=[Channel.SMS]))
    [entry] = page.entries
    assert (entry.id, entry.channel) == (contact, Channel.MAIL)
    assert entry.details["conversation"]["state"] is ConversationState.WAITING
    assert entry.details["conversation"]["tags"] == ["late"]
    written = entry.details["messages"]
    assert [one["excerpt"] for one in written] == ["mail 2", "mail 3", "mail 4", "mail 5", "by SMS"]
    assert (written[-1]["delivery"], written[-1]["author"]) == (MessageState.WAITING, "lin")
    assert written[0]["delivery"] is None
    other = next(one for one in (await story.read(database, wang)).entries if one.id != contact)
    assert other.details.get("conversation") is None


@pytest.mark.parametrize("limit", [1, 2, 30])
async def test_what_was_written_leads_to_its_contact_once(
    database: Database, wang: int, limit: int
) -> None:
    first = await add_conversation(database, wang, ["blue hammock", "x", "hammock!"], NOW)
    second = await add_conversation(
        database, wang, ["hammocks", "hammock", "y"], NOW - timedelta(seconds=30)
    )
    third = await add_contact(database, wang, "hammock", NOW - timedelta(days=1))
    shown: list[int] = []
    before = None
    while True:
        page = await story.read(database, wang, find="hammock", before=before, limit=limit)
        shown += [entry.id for entry in page.entries]
        before = page.older
        if before is None:
            break
    assert shown == [first, second, third]
    assert (await story.read(database, wang, find="difficult")).entries[0].id == first
    only_tasks = StoryFilter(kinds=[EntryKind.TASK])
    assert (await story.read(database, wang, wanted=only_tasks, find="hammock")).entries == []


async def test_nobody_has_no_story_and_a_wrong_cursor_is_told(
    database: Database, wang: int
) -> None:
    assert (await story.read(database, 999)).entries == []
    for before in ("x", "1~2", "1~x~2", "9" * 40 + "~1~1"):
        with pytest.raises(ValueError, match="no cursor"):
            await story.read(database, wang, before=before)
        with pytest.raises(ValueError, match="no cursor"):
            await story.read(database, wang, find="late", before=before)


async def test_satisfaction_is_the_customers_own_word(database: Database, wang: int) -> None:
    contact = await add_contact(database, wang, "", NOW)
    async with database.transaction() as transaction:
        await transaction.session.execute(
            update(Interaction).where(Interaction.id == contact).values(satisfaction=4)
        )
    assert await story.count_satisfaction(database, wang) == [(NOW, 4, Channel.PHONE)]
