"""What makes the sample mall's stories whole: tasks, visits, complaints, words to search by.

Owns sample data only, for the customers that sample_mall has just written.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update

from crm_store.contacts import tasks
from crm_store.contacts.tasks import NewTask
from crm_store.database import Transaction
from crm_store.models import Customer, Interaction, Severity, TaskKind
from crm_store.people import complaints, visits
from crm_store.text_search import EntryKind, NewEntry, index_new

_ROWS_AT_ONCE = 500


async def fill_stories(
    transaction: Transaction, reference: str, number: str, now: datetime
) -> None:
    """Give the customer of that reference something of each kind; make all contacts findable."""
    session = transaction.session
    customer_id = (
        await session.scalars(select(Customer.id).where(Customer.reference == reference))
    ).one()
    newest = await session.scalar(
        select(Interaction.id)
        .where(Interaction.customer_id == customer_id)
        .order_by(Interaction.opened_at.desc())
        .limit(1)
    )
    await session.execute(
        update(Interaction)
        .where(Interaction.id == newest)
        .values(note="已说明积分规则, 客户会在周末来店。", satisfaction=5)
    )
    await _index_contacts(transaction)
    await tasks.create(
        transaction,
        NewTask(
            title="回电告知沙发的送货日期",
            kind=TaskKind.CALLBACK,
            number=number,
            due_at=now + timedelta(hours=1),
            customer_id=customer_id,
            queue="vip",
        ),
        actor="lin",
    )
    await visits.log(
        transaction,
        customer_id,
        now - timedelta(days=12),
        actor="lin",
        outcome="试穿了深蓝色外套, 想等打折。",
        purpose="新款冬装",
        place="三楼贵宾室",
    )
    await visits.plan(
        transaction,
        customer_id,
        now + timedelta(days=9),
        actor="lin",
        purpose="生日礼物建议",
        place="三楼贵宾室",
    )
    await complaints.file(
        transaction,
        "沙发已经迟到两周, 没有人回电话。",
        actor="maria",
        customer_id=customer_id,
        category="delivery",
        severity=Severity.HIGH,
        subject="沙发迟到",
    )


async def _index_contacts(transaction: Transaction) -> None:
    session = transaction.session
    rows = (await session.scalars(select(Interaction).order_by(Interaction.id))).all()
    entries = [
        NewEntry(
            EntryKind.INTERACTION,
            row.id,
            row.customer_id,
            row.opened_at,
            [row.summary, row.note, row.address, row.agent or ""],
        )
        for row in rows
    ]
    for start in range(0, len(entries), _ROWS_AT_ONCE):
        await index_new(transaction, entries[start : start + _ROWS_AT_ONCE])
