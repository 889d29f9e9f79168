"""Import of customers from a CSV file, however dirty.

Owns what a column means, when two lines are one person, and that nothing is lost: a line that
cannot be taken goes as it stood into the rejects file, a field that cannot be understood into the
customer's notes. Running it again makes no doubles: people are known by reference, by card, or by
name and a way to reach them. What the store knows already is never overwritten, only completed.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, text, tuple_, update

from crm_store import audit
from crm_store.cards import card_number
from crm_store.csv_records import CsvFile, Record
from crm_store.customers import ContactWay, checked_name, contact_way, fold_name
from crm_store.database import Database, Transaction
from crm_store.models import Card, Channel, ContactKind, ContactPoint, Customer, Segment

ROWS_AT_ONCE = 500
MOST_PROBLEMS_KEPT = 1_000
# Two imports at once wait for each other on PostgreSQL; any number that nothing else locks by.
_ADVISORY_LOCK = 5_377_226

HEADINGS = {
    "name": "name|full name|customer|customer name|姓名|名字|客户|客户姓名|nombre|nombre completo|"
    "cliente|نام|نام کامل|نام مشتری",
    "given": "given name|first name|名|nombre de pila|نام کوچک",
    "family": "family name|last name|surname|姓|apellido|apellidos|نام خانوادگی",
    "phone": "phone|phone number|mobile|mobile phone|telephone|tel|cell|电话|手机|手机号|电话号码|"
    "联系电话|teléfono|telefono|móvil|movil|تلفن|موبایل|شماره|شماره تلفن|همراه",
    "fax": "fax|传真|فکس|نمابر",
    "mail": "mail|email|e-mail|email address|邮箱|电子邮件|电子邮箱|correo|correo electrónico|"
    "ایمیل",
    "card": "card|card number|member card|member number|卡号|会员卡|会员卡号|tarjeta|"
    "número de tarjeta|کارت|شماره کارت",
    "language": "language|lang|语言|idioma|lengua|زبان",
    "segment": "segment|level|tier|等级|会员等级|级别|segmento|nivel|سطح|گروه",
    "channel": "preferred channel|channel|contact by|首选渠道|canal|canal preferido|کانال",
    "reference": "reference|customer number|customer id|id|客户编号|编号|referencia|"
    "número de cliente|شناسه|کد مشتری",
    "notes": "notes|note|remarks|comment|comments|备注|说明|notas|observaciones|یادداشت|توضیحات",
}
_FIELD_OF = {word: name for name, words in HEADINGS.items() for word in words.split("|")}
_SEGMENTS = {
    Segment.VIP: "vip|贵宾|贵宾客户|ویژه",
    Segment.MEMBER: "member|会员|socio|miembro|عضو",
    Segment.ORDINARY: "ordinary|normal|普通|普通客户|ordinario|عادی",
}
_LANGUAGES = {
    "en": "en|english|英语|英文|inglés|انگلیسی",
    "zh": "zh|zh-cn|zh-hans|chinese|中文|汉语|普通话|chino|چینی",
    "es": "es|spanish|español|castellano|西班牙语|اسپانیایی",
    "fa": "fa|persian|farsi|فارسی|波斯语|persa",
}
_SEGMENT_OF = {word: name for name, words in _SEGMENTS.items() for word in words.split("|")}
_LANGUAGE_OF = {word: name for name, words in _LANGUAGES.items() for word in words.split("|")}
_SEVERAL = re.compile(r"[;/、，|\n]|,(?=\s*[+\d])")


class UnreadableImport(Exception):
    """The file as a whole cannot be imported; the text says why."""


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
class _Line:
    """A line that was understood."""

    record: Record
    name: str
    folded: str
    language: str
    segment: Segment
    channel: Channel | None
    reference: str | None
    notes: str
    ways: list[ContactWay]
    cards: list[str]
    doubts: list[str]


@dataclass(slots=True)
class _Person:
    """A customer that lines of one chunk speak of; `id` is None until it is written."""

    id: int | None
    folded: str
    reference: str | None
    notes: str
    line: _Line | None = None
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
    means where it is not one of HEADINGS: {"Kundenname": "name"}. `progress` is told the number of
    lines read, from time to time. Each chunk is written before the next is read, so an import that
    was stopped can be run again. Raises UnreadableImport, OSError.
    """
    try:
        file = await asyncio.to_thread(CsvFile, source, encoding, delimiter)
    except (UnicodeError, LookupError) as error:
        raise UnreadableImport(f"the file cannot be read: {error}") from error
    with file:
        meanings = _meanings(file.heading, columns or {})
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


# ---- understanding a line ------------------------------------------------------------------------


def _meanings(heading: list[str], columns: Mapping[str, str]) -> list[str]:
    """For each column the field that it holds, "" for one that goes into the notes."""
    said = {_plain(word): name for word, name in columns.items()}
    unknown = set(said.values()) - set(HEADINGS)
    if unknown:
        raise UnreadableImport(f"there is no field {', '.join(sorted(unknown))}")
    meanings = [said.get(_plain(word)) or _FIELD_OF.get(_plain(word), "") for word in heading]
    if not {"name", "given", "family"} & set(meanings):
        raise UnreadableImport(
            f"no column holds a name; the heading is: {', '.join(heading)[:500] or 'empty'}"
        )
    return meanings


def _plain(word: str) -> str:
    """A heading without case, spelling of spaces and a number at its end ("Phone_2")."""
    return re.sub(r"[\s_]+", " ", word).strip().rstrip("0123456789 ").casefold()


def _read_chunk(
    records: Any, heading: list[str], meanings: list[str], region: str
) -> list[_Line | tuple[Record, str]]:
    return [
        _understood(record, heading, meanings, region)
        for record in itertools.islice(records, ROWS_AT_ONCE)
    ]


def _understood(
    record: Record, heading: list[str], meanings: list[str], region: str
) -> _Line | tuple[Record, str]:
    """The line, or the reason why it is rejected."""
    if record.problem:
        return record, record.problem
    if any(value.strip() for value in record.fields[len(heading) :]):
        return record, "more fields than the heading has"
    values: dict[str, list[str]] = {}
    notes: list[str] = []
    for word, meaning, value in zip(heading, meanings, record.fields, strict=False):
        # A spreadsheet's ways of saying "this is text": '138... and ="138..."
        kept = value.strip().removeprefix("=").strip('"').removeprefix("'").strip()
        if kept and meaning:
            values.setdefault(meaning, []).append(kept)
        elif kept:
            notes.append(f"{word}: {kept}")
    try:
        name = checked_name(_name(values))
    except ValueError:
        return record, "no name"
    line = _Line(
        record=record,
        name=name,
        folded=fold_name(name),
        language="",
        segment=Segment.ORDINARY,
        channel=None,
        reference=next(iter(values.get("reference", [])), None),
        notes="",
        ways=[],
        cards=[],
        doubts=[],
    )
    _read_ways(line, values, region)
    _read_choices(line, values)
    line.notes = "\n".join([*values.get("notes", []), *notes, *line.doubts])
    if not (line.ways or line.cards or line.reference):
        return record, "no phone, mail, card or reference that could be used"
    return line


def _name(values: dict[str, list[str]]) -> str:
    if "name" in values:
        return values["name"][0]
    given, family = " ".join(values.get("given", [])), " ".join(values.get("family", []))
    if any("\u4e00" <= letter <= "\u9fff" for letter in family):
        return family + given
    return f"{given} {family}"


def _read_ways(line: _Line, values: dict[str, list[str]], region: str) -> None:
    for kind in (ContactKind.PHONE, ContactKind.MAIL, ContactKind.FAX):
        for cell in values.get(kind.value, []):
            for one in filter(None, map(str.strip, _SEVERAL.split(cell))):
                try:
                    way = contact_way(kind, one, region)
                except ValueError:
                    line.doubts.append(f"{kind.value}: {one}")
                else:
                    if way not in line.ways:
                        line.ways.append(way)
    for cell in values.get("card", []):
        number = card_number(cell)
        if number is None:
            line.doubts.append(f"card: {cell}")
        elif number not in line.cards:
            line.cards.append(number)


def _read_choices(line: _Line, values: dict[str, list[str]]) -> None:
    for cell in values.get("segment", [])[:1]:
        if (segment := _SEGMENT_OF.get(cell.casefold())) is not None:
            line.segment = segment
        else:
            line.doubts.append(f"segment: {cell}")
    for cell in values.get("channel", [])[:1]:
        try:
            line.channel = Channel(cell.casefold())
        except ValueError:
            line.doubts.append(f"channel: {cell}")
    for cell in values.get("language", [])[:1]:
        line.language = _LANGUAGE_OF.get(cell.casefold(), "")
        if not line.language:
            line.doubts.append(f"language: {cell}")
    line.language = line.language or _language_by_script(line.name)


def _language_by_script(name: str) -> str:
    if any("\u4e00" <= letter <= "\u9fff" for letter in name):
        return "zh"
    return "fa" if any("\u0600" <= letter <= "\u06ff" for letter in name) else "en"


# ---- writing a chunk -----------------------------------------------------------------------------


async def _import_chunk(
    database: Database,
    chunk: list[_Line | tuple[Record, str]],
    report: ImportReport,
    reject: Callable[[Record, str], None],
) -> None:
    lines = [line for line in chunk if isinstance(line, _Line)]
    outcomes = await database.run(lambda transaction: _write_chunk(transaction, lines))
    told = iter(outcomes)
    for line in chunk:
        if not isinstance(line, _Line):
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


async def _write_chunk(transaction: Transaction, lines: list[_Line]) -> list[str]:
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
    async def of(cls, transaction: Transaction, lines: list[_Line]) -> _Known:
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

    def place(self, line: _Line) -> str:
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

    def _find(self, line: _Line) -> _Person | str | None:
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

    def _add(self, person: _Person, line: _Line) -> bool:
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
            ids = await session.scalars(
                insert(Customer).returning(Customer.id, sort_by_parameter_order=True),
                [_row(person, now) for person in self.new],
            )
            for person, row_id in zip(self.new, ids.all(), strict=True):
                person.id = row_id
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
