"""What a script's answers write: into the customer's record and the interaction, always audited.

Owns where each answer goes that has a place there (script_steps.FILLS). Refuses to know steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from crm_store import audit, text_search
from crm_store.database import Transaction
from crm_store.models import ContactKind, Customer, Interaction
from crm_store.people import customers

_MOST_NOTES = 20_000


async def write(
    transaction: Transaction,
    interaction_id: int,
    answers: Mapping[str, str],
    *,
    customer_id: int | None,
    languages: frozenset[str],
    region: str,
    actor: str,
) -> list[str]:
    """Write each answer to its place; the places that could not take theirs, for nothing is lost:
    the answer stays in the script's run.

    A customer's place takes nothing while nobody is known to be calling (`customer_id` None).
    `languages` are those a customer may have, `region` is where numbers are read.
    """
    if not answers:
        return []
    summary = answers.get("interaction.summary")
    if summary is not None:
        await _write_summary(transaction, interaction_id, summary, actor)
    refused = []
    for place, answer in answers.items():
        if place.startswith("customer."):
            try:
                await _write_customer(
                    transaction,
                    customer_id,
                    place,
                    answer,
                    languages=languages,
                    region=region,
                    actor=actor,
                )
            except (ValueError, LookupError):
                refused.append(place)
    return refused


async def _write_summary(
    transaction: Transaction, interaction_id: int, summary: str, actor: str
) -> None:
    changed = await transaction.session.scalar(
        update(Interaction)
        .where(Interaction.id == interaction_id, Interaction.summary != summary)
        .values(summary=summary)
        .returning(Interaction.id)
    )
    if changed is None:
        return
    await text_search.index_interaction(transaction, interaction_id)
    await audit.record(
        transaction,
        actor=actor,
        action="changed",
        subject_kind="interaction",
        subject_id=interaction_id,
        fields=["summary"],
    )


async def _write_customer(
    transaction: Transaction,
    customer_id: int | None,
    place: str,
    answer: str,
    *,
    languages: frozenset[str],
    region: str,
    actor: str,
) -> None:
    """Raises ValueError for what cannot be kept there, LookupError for nobody."""
    if customer_id is None:
        raise LookupError("nobody is known to be calling")
    change: dict[str, Any] = {}
    match place:
        case "customer.phone" | "customer.mail":
            kind = ContactKind(place.removeprefix("customer."))
            way = customers.contact_way(kind, answer, region)
            await customers.add_contact_point(transaction, customer_id, way, actor=actor)
            return
        case "customer.language":
            if answer not in languages:
                raise ValueError("that is no language of the house")
            change = {"language": answer}
        case "customer.notes":
            change = {"notes": await _more_notes(transaction, customer_id, answer)}
        case "customer.name":
            change = {"name": answer}
        case _:
            raise ValueError(f"nothing is kept at {place!r}")
    await customers.update(transaction, customer_id, actor=actor, **change)


async def _more_notes(transaction: Transaction, customer_id: int, answer: str) -> str:
    """The customer's notes with the answer as a line of its own, once."""
    notes = await transaction.session.scalar(
        select(Customer.notes).where(Customer.id == customer_id).with_for_update()
    )
    if notes is None:
        raise LookupError(f"there is no customer {customer_id}")
    if answer in notes.splitlines():
        return str(notes)
    longer = f"{notes}\n{answer}".strip()
    if len(longer) > _MOST_NOTES:
        raise ValueError("the notes are full")
    return longer
