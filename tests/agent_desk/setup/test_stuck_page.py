"""What is stuck is shown, and a person sends it again or lets it be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from crm_store.contacts import outbox
from crm_store.database import Database
from crm_store.models import Channel, JobRow, JobState, MessageState, OutboxMessage
from tests.agent_desk.conftest import Visitor

pytestmark = pytest.mark.db

HERE = "/setup/stuck"


async def _message(
    database: Database, to: str, state: MessageState, *, secret: bool = False
) -> int:
    async with database.transaction() as transaction:
        written = await outbox.write(
            transaction, channel=Channel.SMS, to=to, text="Your order is here.", is_secret=secret
        )
        await transaction.session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id == written)
            .values(state=state, error="<b>no such number</b>")
        )
    return written


async def _state(database: Database, outbox_id: int) -> MessageState:
    found = await outbox.find(database, outbox_id)
    assert found is not None
    return found.state


async def test_messages_are_sent_again_or_let_be(sara: Visitor) -> None:
    database = sara.desk.database
    failed = await _message(database, "+442079460101", MessageState.FAILED)
    unsure = await _message(database, "+442079460102", MessageState.UNCERTAIN)
    code = await _message(database, "+442079460103", MessageState.FAILED, secret=True)
    status, text = await sara.get(HERE)
    assert status == 200
    assert "&lt;b&gt;no such number" in text
    assert f"{HERE}/messages/{failed}/again" in text
    assert f"{HERE}/messages/{code}/again" not in text, "its text is gone"
    assert (await sara.send_form(f"{HERE}/messages/{failed}/again"))[0] == 303
    assert (await sara.send_form(f"{HERE}/messages/{unsure}/cancel"))[0] == 303
    assert await _state(database, failed) is MessageState.WAITING
    assert await _state(database, unsure) is MessageState.CANCELLED
    assert (await sara.send_form(f"{HERE}/messages/{failed}/again"))[0] == 409


async def test_a_job_that_was_given_up_is_tried_again(sara: Visitor) -> None:
    database = sara.desk.database
    async with database.transaction() as transaction:
        job = (
            await transaction.session.execute(
                insert(JobRow)
                .values(
                    handler="daily_round",
                    idempotency_key="x",
                    kind="",
                    data={},
                    state=JobState.PARKED,
                    due_at=datetime.now(UTC),
                    attempts=12,
                    max_attempts=12,
                    error="ValueError: no such card",
                    created_at=datetime.now(UTC),
                )
                .returning(JobRow.id)
            )
        ).scalar_one()
    status, text = await sara.get(HERE)
    assert status == 200
    assert "ValueError: no such card" in text
    assert (await sara.send_form(f"{HERE}/jobs/{job}/again"))[0] == 303
    async with database.reading() as session:
        row = await session.scalar(select(JobRow).where(JobRow.id == job))
    assert row is not None
    assert (row.state, row.attempts) == (JobState.WAITING, 0)
    assert (await sara.send_form(f"{HERE}/jobs/{job}/again"))[0] == 409
