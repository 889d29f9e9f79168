from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from channels import routing
from channels.routing import Router
from crm_store.bus import Bus
from crm_store.contacts import conversations, interactions
from crm_store.contacts.conversations import NewConversation
from crm_store.database import Database
from crm_store.models import Channel, Role
from crm_store.people import customers
from crm_store.people.customers import NewCustomer
from crm_store.signals import AgentState, AgentStateChanged, Direction
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord

pytestmark = pytest.mark.db


class Floor:
    """Two agents, a queue that pushes and one that does not, and a router that looks when told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bus = Bus()
        self.states = {"lin": AgentState.AVAILABLE, "mai": AgentState.AVAILABLE}
        self.changes = 0
        self.router = Router(database, self.bus, state_of=self.state_of, changed=self.on_change)

    async def set_up(self) -> None:
        async with self.database.transaction() as transaction:
            await queues.save(
                transaction, QueueRecord("chat", "600", {"en": "Chat"}, written_mode="push")
            )
            await queues.save(transaction, QueueRecord("mail", "601", {"en": "Mail"}))
            for login in ("lin", "mai"):
                await agents.save(
                    transaction,
                    login=login,
                    display_name=login,
                    role=Role.AGENT,
                    extension=None,
                    language="en",
                    queues={"chat": 0, "mail": 0},
                )

    def state_of(self, login: str) -> AgentStateChanged:
        return AgentStateChanged(agent=login, endpoint="", state=self.states[login])

    def on_change(self) -> None:
        self.changes += 1

    async def written(
        self, queue: str = "chat", channel: Channel = Channel.CHAT, customer_id: int | None = None
    ) -> int:
        async with self.database.transaction() as transaction:
            return await conversations.open_conversation(
                transaction,
                NewConversation(
                    channel=channel, address="visitor", queue=queue, customer_id=customer_id
                ),
            )

    def offered(self) -> dict[int, str]:
        return {offer.conversation_id: offer.agent for offer in self.router.offers()}


@pytest.fixture
async def floor(database: Database) -> Floor:
    made = Floor(database)
    await made.set_up()
    return made


async def test_only_a_queue_that_pushes_is_offered_and_only_to_who_is_free(floor: Floor) -> None:
    first = await floor.written()
    await floor.written(queue="mail", channel=Channel.MAIL)
    floor.states["lin"] = AgentState.ON_CALL
    await floor.router.look()
    assert floor.offered() == {first: "mai"}
    assert floor.changes == 1
    await floor.router.look()
    assert floor.changes == 1
    async with floor.database.transaction() as transaction:
        assert await routing.accept(transaction, first, "mai")
    async with floor.database.transaction() as transaction:
        assert not await routing.accept(transaction, first, "lin")
    await floor.router.look()
    assert floor.offered() == {}
    found = await conversations.find(floor.database, first)
    assert found is not None
    assert found.assigned_to == "mai"


async def test_an_offer_that_nobody_opens_goes_to_the_next(floor: Floor) -> None:
    first = await floor.written()
    start = datetime.now(UTC)
    seen = []
    for step in range(3):
        await floor.router.look(start + step * timedelta(seconds=45))
        seen.append(floor.offered()[first])
        # In between it stays where it is.
        await floor.router.look(start + step * timedelta(seconds=45) + timedelta(seconds=44))
        assert floor.offered()[first] == seen[-1]
    assert sorted(seen[:2]) == ["lin", "mai"]


async def test_what_is_offered_counts_as_held(floor: Floor) -> None:
    chats = [await floor.written() for _ in range(8)]
    await floor.router.look()
    # Three at once for each of two agents.
    assert sorted(floor.offered()) == chats[:6]
    assert sorted(floor.offered().values()) == ["lin"] * 3 + ["mai"] * 3


async def test_who_served_the_customer_last_is_offered_them(floor: Floor) -> None:
    async with floor.database.transaction() as transaction:
        customer_id = await customers.create(transaction, NewCustomer("Wang"), actor="lin")
        for agent in ("lin", "mai"):
            await interactions.open_interaction(
                transaction,
                channel=Channel.PHONE,
                direction=Direction.INBOUND,
                customer_id=customer_id,
                agent=agent,
            )
    first = await floor.written(customer_id=customer_id)
    await floor.router.look()
    assert floor.offered() == {first: "mai"}


async def test_the_chats_of_who_signs_out_wait_again_in_their_place(floor: Floor) -> None:
    chat = await floor.written()
    mail = await floor.written(queue="mail", channel=Channel.MAIL)
    before = await conversations.find(floor.database, chat)
    async with floor.database.transaction() as transaction:
        for conversation_id in (chat, mail):
            await conversations.assign(transaction, conversation_id, "lin", actor="lin")
    running = asyncio.create_task(floor.router.run())
    async with asyncio.timeout(30):
        # It hears as soon as it runs.
        while True:
            floor.states["lin"] = AgentState.OFFLINE
            floor.bus.publish(floor.state_of("lin"))
            if floor.offered().get(chat) == "mai":
                break
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    after = await conversations.find(floor.database, chat)
    kept = await conversations.find(floor.database, mail)
    assert before is not None
    assert after is not None
    assert kept is not None
    assert (after.assigned_to, after.priority) == (None, before.priority)
    assert kept.assigned_to == "lin"


async def test_pulling_takes_what_waits_first_and_nobody_gets_the_same(floor: Floor) -> None:
    waiting = [await floor.written(queue="mail", channel=Channel.MAIL) for _ in range(6)]
    await floor.written()

    async def pull(login: str) -> int | None:
        async with floor.database.transaction() as transaction:
            return await routing.take_next(transaction, login, ["mail"])

    taken = await asyncio.gather(*(pull(login) for login in ["lin", "mai"] * 3))
    assert sorted(one for one in taken if one is not None) == waiting
    assert await pull("lin") is None


async def test_what_is_offered_to_somebody_is_not_pulled_by_another(floor: Floor) -> None:
    first, second = await floor.written(), await floor.written()
    async with floor.database.transaction() as transaction:
        taken = await routing.take_next(transaction, "lin", ["chat"], passing=[first])
    assert taken == second
