"""Import of customers from a CSV file, however dirty.

Owns when two lines are one person, and that nothing is lost: a line that cannot be taken goes as
it stood into the rejects file, a field that was not understood into the customer's notes. Running
it again makes no doubles: people are known by reference, by card, or by name and a way to reach
them. What the store knows already is never overwritten, only completed. What a line means is said
by import_lines.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, text, tuple_, update

from crm_store import audit
from crm_store.database import Database, Transaction
from crm_store.models import Card, ContactKind, ContactPoint, Customer
from crm_store.people.csv_records import CsvFile, Record
from crm_store.people.customers import ContactWay
from crm_store.people.import_lines import CustomerLine, UnreadableImport, meanings_of, understood
from crm_store.people.name_index import index_names

__all__ = ["ImportReport", "LineProblem", "UnreadableImport", "import_customers"]

ROWS_AT_ONCE = 500
MOST_PROBLEMS_KEPT = 1_000
# Two imports at once wait for each other on PostgreSQL; any number that nothing else locks by.
_ADVISORY_LOCK = 5_377_226


@dataclass(frozen=True, slots=True)
class LineProblem:
    line: int
    reason: str


@dataclass(slots=True)
class ImportReport:
    """What became of each line. `read` is created + completed + unchanged + rejected.

    `rejected_lines` and `doubts` are the first thousand of each; `reasons` counts all of them. A
    doubt is a field that was not understood and stands in the customer's notes.
    """

    encoding: str
    delimiter: str
    read: int = 0
    created: int = 0
    completed: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejected_lines: list[LineProblem] = field(default_factory=list)
    doubts: list[LineProblem] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def reject(self, line: int, reason: str) -> None:
        self.rejected += 1
        self._keep(self.rejected_lines, line, reason)

    def doubt(self, line: int, reason: str) -> None:
        self._keep(self.doubts, line, reason)

    def _keep(self, problems: list[LineProblem], line: int, reason: str) -> None:
        self.reasons[reason] += 1
        if len(problems) < MOST_PROBLEMS_KEPT:
            problems.append(LineProblem(line, reason))


@dataclass(slots=True)
class _Person:
    """A customer that lines of one chunk speak of; `id` is None until it is written."""

    id: int | None
    folded: str
    reference: str | None
    notes: str
    line: CustomerLine | None = None
    changed: dict[str, str] = field(default_factory=dict)
    new_ways: list[ContactWay] = field(default_factory=list)
    new_cards: list[str] = field(default_factory=list)


async def import_customers(
    database: Database,
    source: Path,
    *,
    rejects: Path,
    region: str,
    actor: str,
    encoding: str | None = None,
    delimiter: str | None = None,
    columns: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import `source`; rejected lines go under the same heading into `rejects`.

    `region` is where numbers without a country code are (ISO 3166). `columns` says what a heading
    means where it is not one of import_lines.HEADINGS: {"Kundenname": "name"}. `progress` is told
    the number of lines read, from time to time. Each chunk is written before the next is read, so
    an import that was stopped can be run again. Raises UnreadableImport, OSError.
    """
    try:
        file = await asyncio.to_thread(CsvFile, source, encoding, delimiter)
    except (UnicodeError, LookupError) as error:
        raise UnreadableImport(f"the file cannot be read: {error}") from error
    with file:
        meanings = meanings_of(file.heading, columns or {})
        report = ImportReport(file.encoding, file.delimiter)
        records = file.records()
        with rejects.open("w", encoding=file.encoding, errors=file.errors, newline="") as rejected:
            rejected.write(file.heading_text)

            def reject(record: Record, reason: str) -> None:
                report.reject(record.line, reason)
                ended = record.text.endswith(("\n", "\r"))
                rejected.write(record.text if ended else record.text + "\n")

            while chunk := await asyncio.to_thread(
                _read_chunk, records, file.heading, meanings, region
            ):
                report.read += len(chunk)
                await _import_chunk(database, chunk, report, reject)
                if progress is not None:
                    progress(report.read)
    async with database.transaction() as transaction:
        await audit.record(
            transaction,
            actor=actor,
            action="imported",
            subject_kind="customers",
            subject_id=source.name[-100:],
            reason=f"{report.created} created, {report.completed} completed,"
            f" {report.unchanged} unchanged, {report.rejected} rejected",
        )
    return report


def _read_chunk(
    records: Any, heading: list[str], meanings: list[str], region: str
) -> list[CustomerLine | tuple[Record, str]]:
    return [
        understood(record, heading, meanings, region)
        for record in itertools.islice(records, ROWS_AT_ONCE)
    ]


# ---- writing a chunk -----------------------------------------------------------------------------


async def _import_chunk(
    database: Database,
    chunk: list[CustomerLine | tuple[Record, str]],
    report: ImportReport,
    reject: Callable[[Record, str], None],
) -> None:
    lines = [line for line in chunk if isinstance(line, CustomerLine)]
    outcomes = await database.run(lambda transaction: _write_chunk(transaction, lines))
    told = iter(outcomes)
    for line in chunk:
        if not isinstance(line, CustomerLine):
            reject(*line)
            continue
        match next(told):
            case "created":
                report.created += 1
            case "completed":
                report.completed += 1
            case "unchanged":
                report.unchanged += 1
            case reason:
                reject(line.record, reason)
                continue
        for doubt in line.doubts:
            # The kind alone: a report is shown and kept, the number itself is in the notes.
            kind = doubt.split(":", 1)[0]
            report.doubt(line.record.line, f"{kind} not understood, kept in the notes")


async def _write_chunk(transaction: Transaction, lines: list[CustomerLine]) -> list[str]:
    """Write the lines; for each what became of it, or the reason why it is rejected."""
    if transaction.session.get_bind().dialect.name == "postgresql":
        await transaction.session.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
        )
    known = await _Known.of(transaction, lines)
    outcomes = [known.place(line) for line in lines]
    await known.write(transaction)
    return outcomes


class _Known:
    """Who the store and the chunk so far know, by each thing that a person is known by."""

    def __init__(self) -> None:
        self.by_reference: dict[str, _Person] = {}
        self.by_card: dict[str, _Person] = {}
        self.by_way: dict[tuple[ContactKind, str, str], _Person] = {}
        self.ways: set[tuple[int, ContactKind, str]] = set()
        self.new: list[_Person] = []
        self.old: dict[int, _Person] = {}

    @classmethod
    async def of(cls, transaction: Transaction, lines: list[CustomerLine]) -> _Known:
        known = cls()
        session = transaction.session
        person = (Customer.id, Customer.name_folded, Customer.reference, Customer.notes)
        references = {line.reference for line in lines if line.reference}
        cards = {card for line in lines for card in line.cards}
        ways = {(way.kind, way.value) for line in lines for way in line.ways}
        if references:
            for row in await session.execute(
                select(*person).where(Customer.reference.in_(references))
            ):
                known.by_reference[row.reference] = known._person(*row)
        if cards:
            owned = select(Card.number, *person).join(Customer, Customer.id == Card.customer_id)
            for card in await session.execute(owned.where(Card.number.in_(cards))):
                known.by_card[card.number] = known._person(*card[1:])
        if ways:
            reached = (
                select(ContactPoint.kind, ContactPoint.value, *person)
                .join(Customer, Customer.id == ContactPoint.customer_id)
                .where(tuple_(ContactPoint.kind, ContactPoint.value).in_(ways))
                .order_by(Customer.id)
            )
            for way in await session.execute(reached):
                found = known._person(*way[2:])
                known.ways.add((way.id, way.kind, way.value))
                known.by_way.setdefault((way.kind, way.value, found.folded), found)
        return known

    def place(self, line: CustomerLine) -> str:
        """Give the line to the person it speaks of; what became of it, or why it is rejected."""
        person = self._find(line)
        if isinstance(person, str):
            return person
        if person is None:
            person = _Person(None, line.folded, line.reference, line.notes, line)
            self.new.append(person)
            self._add(person, line)
            return "created"
        return "completed" if self._add(person, line) else "unchanged"

    def _find(self, line: CustomerLine) -> _Person | str | None:
        found = self.by_reference.get(line.reference) if line.reference else None
        for card in line.cards:
            owner = self.by_card.get(card)
            if owner is not None and (
                (found is not None and owner is not found) or owner.folded != line.folded
            ):
                return "the card is another customer's"
            found = found or owner
        if found is not None:
            return found
        for way in line.ways:
            same = self.by_way.get((way.kind, way.value, line.folded))
            both_have_references = same and same.reference and line.reference
            if same is not None and not both_have_references:
                return same
        return None

    def _add(self, person: _Person, line: CustomerLine) -> bool:
        """Complete the person; False if all of it was known."""
        news = person.line is line
        if line.reference and person.reference is None:
            person.reference = person.changed["reference"] = line.reference
            news = True
        kept = person.notes.splitlines()
        if unsaid := [part for part in line.notes.splitlines() if part not in kept]:
            person.notes = person.changed["notes"] = "\n".join([*kept, *unsaid])
            news = True
        if person.reference:
            self.by_reference.setdefault(person.reference, person)
        for way in line.ways:
            key = (person.id or 0, way.kind, way.value)
            if key not in self.ways and way not in person.new_ways:
                person.new_ways.append(way)
                news = True
            self.by_way.setdefault((way.kind, way.value, person.folded), person)
        for card in line.cards:
            if card not in self.by_card:
                person.new_cards.append(card)
                self.by_card[card] = person
                news = True
        return news

    async def write(self, transaction: Transaction) -> None:
        session = transaction.session
        now = datetime.now(UTC)
        if self.new:
            rows = [_row(person, now) for person in self.new]
            written = await session.scalars(
                insert(Customer).returning(Customer.id, sort_by_parameter_order=True), rows
            )
            ids = written.all()
            for person, row_id in zip(self.new, ids, strict=True):
                person.id = row_id
            await index_names(
                transaction,
                [(row_id, row["name"]) for row_id, row in zip(ids, rows, strict=True)],
            )
        people = [*self.new, *self.old.values()]
        ways = [
            {"customer_id": person.id, "kind": way.kind, "value": way.value, "label": way.label,
             "created_at": now}
            for person in people for way in person.new_ways
        ]  # fmt: skip
        cards = [
            {"customer_id": person.id, "number": number, "opened_at": now}
            for person in people
            for number in person.new_cards
        ]
        if ways:
            await session.execute(insert(ContactPoint), ways)
        if cards:
            await session.execute(insert(Card), cards)
        for person in self.old.values():
            if person.changed:
                await session.execute(
                    update(Customer)
                    .where(Customer.id == person.id)
                    .values(**person.changed, updated_at=now)
                )

    def _person(self, row_id: int, folded: str, reference: str | None, notes: str) -> _Person:
        return self.old.setdefault(row_id, _Person(row_id, folded, reference, notes))


def _row(person: _Person, now: datetime) -> dict[str, Any]:
    line = person.line
    assert line is not None
    return {
        "name": line.name,
        "name_folded": line.folded,
        "language": line.language,
        "segment": line.segment,
        "preferred_channel": line.channel,
        "notes": person.notes,
        "reference": person.reference,
        "created_at": now,
        "updated_at": now,
    }
