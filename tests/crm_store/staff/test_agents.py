from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from crm_store.database import Database
from crm_store.models import DeskSession, Role
from crm_store.signals import AgentState
from crm_store.staff import agents, queues
from crm_store.staff.queues import QueueRecord

pytestmark = pytest.mark.db

HOURS = timedelta(hours=9)


async def _lin(database: Database) -> int:
    async with database.transaction() as transaction:
        agent_id = await agents.save(
            transaction,
            login="lin",
            display_name="林晓",
            extension="1001",
            language="zh",
            queues={"service": 2, "sales": 1},
        )
        await agents.set_password_hash(transaction, "lin", "$argon2id$x")
    return agent_id


async def test_an_agent_is_kept_and_changed_by_login(database: Database) -> None:
    agent_id = await _lin(database)
    found = await agents.find(database, "lin")
    assert found is not None
    assert (found.id, found.display_name, found.extension) == (agent_id, "林晓", "1001")
    assert (found.role, found.language, found.queues) == (
        Role.AGENT,
        "zh",
        {"sales": 1, "service": 2},
    )
    async with database.transaction() as transaction:
        assert agent_id == await agents.save(
            transaction, login="lin", display_name="Lin", role=Role.SUPERVISOR, queues=["vip"]
        )
    assert await agents.find_by_extension(database, "1001") is None
    [changed] = await agents.all_agents(database)
    assert (changed.role, changed.queues) == (Role.SUPERVISOR, {"vip": 0})
    assert await agents.password_hash(database, "lin") == "$argon2id$x"


async def test_an_extension_belongs_to_one_agent(database: Database) -> None:
    await _lin(database)
    with pytest.raises(IntegrityError):
        async with database.transaction() as transaction:
            await agents.save(transaction, login="wei", display_name="Wei", extension="1001")
    assert await agents.find(database, "wei") is None


async def test_a_session_holds_until_it_ends(database: Database) -> None:
    agent_id = await _lin(database)
    async with database.transaction() as transaction:
        token = await agents.open_session(transaction, agent_id, HOURS)
        other = await agents.open_session(transaction, agent_id, HOURS)
    session = await agents.session_of(database, token)
    assert session is not None
    assert (session.agent.login, session.agent.queues) == ("lin", {"sales": 1, "service": 2})
    assert session.expires_at > datetime.now(UTC)
    async with database.reading() as reading:
        stored = list(await reading.scalars(select(DeskSession.token_hash)))
    assert token not in stored
    assert len(set(stored)) == 2
    async with database.transaction() as transaction:
        await agents.close_session(transaction, token)
        await agents.close_session(transaction, "never was one")
    assert await agents.session_of(database, token) is None
    assert await agents.session_of(database, other) is not None


@pytest.mark.parametrize("end", ["expired", "kept out", "new password"])
async def test_what_ends_a_session(database: Database, end: str) -> None:
    agent_id = await _lin(database)
    async with database.transaction() as transaction:
        lasts = timedelta(seconds=-1) if end == "expired" else HOURS
        token = await agents.open_session(transaction, agent_id, lasts)
        if end == "kept out":
            await agents.set_active(transaction, "lin", False)
        elif end == "new password":
            await agents.set_password_hash(transaction, "lin", "$argon2id$y")
    assert await agents.session_of(database, token) is None
    if end == "kept out":
        assert await agents.password_hash(database, "lin") is None
        assert await agents.all_agents(database) == []
        assert len(await agents.all_agents(database, also_inactive=True)) == 1


async def test_unknown_logins_are_told(database: Database) -> None:
    assert await agents.find(database, "nobody") is None
    assert await agents.password_hash(database, "nobody") is None
    async with database.transaction() as transaction:
        with pytest.raises(LookupError):
            await agents.set_password_hash(transaction, "nobody", "x")
        with pytest.raises(LookupError):
            await agents.set_active(transaction, "nobody", False)


async def test_the_log_of_states_is_newest_first(database: Database) -> None:
    now = datetime.now(UTC)
    assert await agents.last_state(database, "lin") is None
    async with database.transaction() as transaction:
        await agents.log_state(transaction, "lin", AgentState.PAUSED, reason="lunch", at=now)
        await agents.log_state(
            transaction, "lin", AgentState.AVAILABLE, queues=["sales"], at=now - HOURS
        )
        await agents.log_state(transaction, "maria", AgentState.OFFLINE)
    log = await agents.states(database, "lin")
    assert [(entry.state, entry.reason, entry.queues) for entry in log] == [
        ("paused", "lunch", []),
        ("available", "", ["sales"]),
    ]
    last = await agents.last_state(database, "lin")
    assert last is not None
    assert (last.state, last.at) == ("paused", now)


async def test_queues_and_what_their_wrap_up_offers(database: Database) -> None:
    async with database.transaction() as transaction:
        await queues.save_disposition(transaction, "sold", {"en": "Sold", "zh": "已成交"}, 1)
        await queues.save_disposition(transaction, "other", {"en": "Other"}, 0)
        await queues.save_pause_reason(transaction, "lunch", {"en": "Lunch", "fa": "ناهار"})
        await queues.save(
            transaction, QueueRecord("sales", "600", {"en": "Sales"}, dispositions=("sold",))
        )
        await queues.save(transaction, QueueRecord("service", "601", {}))
        await queues.save(
            transaction,
            QueueRecord("sales", "600", {"en": "Shop"}, wrap_up_seconds=7, dispositions=("sold",)),
        )
        with pytest.raises(LookupError, match="unheard"):
            await queues.save(transaction, QueueRecord("vip", "602", {}, dispositions=["unheard"]))
    sales, service, _ = await queues.all_queues(database)
    assert sales == await queues.find(database, "sales")
    assert (sales.title("es"), sales.wrap_up_seconds, sales.dispositions) == ("Shop", 7, ("sold",))
    assert service.title("en") == "service"
    assert [choice.code for choice in await queues.dispositions(database, "sales")] == ["sold"]
    for queue in (None, "service", "unknown"):
        offered = await queues.dispositions(database, queue)
        assert [choice.code for choice in offered] == ["other", "sold"]
    [lunch] = await queues.pause_reasons(database)
    assert [lunch.title(language) for language in ("fa-IR", "zh", "en")] == [
        "ناهار",
        "Lunch",
        "Lunch",
    ]
