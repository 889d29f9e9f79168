"""Names in the full-text index: by which customers are found.

Owns that each customer's name is there, also of those who were written before it was. Asking is
customers' (`search_by_name`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from crm_store import text_search
from crm_store.database import Database, Transaction
from crm_store.models import Customer, SearchEntry
from crm_store.text_search import EntryKind, NewEntry


async def index_names(transaction: Transaction, named: Sequence[tuple[int, str]]) -> None:
    """Have new customers (id, name) found by their names."""
    now = datetime.now(UTC)
    await text_search.index_new(
        transaction,
        [
            NewEntry(EntryKind.PERSON, customer_id, customer_id, now, [name])
            for customer_id, name in named
        ],
    )


async def index_name(transaction: Transaction, customer_id: int, name: str) -> None:
    """Have the customer found by this name, and by none that they had before."""
    await text_search.index(
        transaction,
        EntryKind.PERSON,
        customer_id,
        customer_id=customer_id,
        at=datetime.now(UTC),
        texts=[name],
    )


async def index_missing_names(database: Database, *, at_once: int = 1_000) -> int:
    """Index the customers that no index knows yet; how many there were."""
    indexed = 0
    known = select(SearchEntry.id).where(
        SearchEntry.kind == EntryKind.PERSON, SearchEntry.row_id == Customer.id
    )
    query = (
        select(Customer.id, Customer.name)
        .where(~known.exists(), Customer.erased_at.is_(None))
        .limit(at_once)
    )
    while True:
        async with database.transaction() as transaction:
            missing = [(row.id, row.name) for row in await transaction.session.execute(query)]
            await index_names(transaction, missing)
        indexed += len(missing)
        if len(missing) < at_once:
            return indexed
