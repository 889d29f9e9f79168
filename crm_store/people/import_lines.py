"""What a line of a customers' file means: its headings, its fields, the doubts about them.

Owns the words that stand in such files, in four languages, and the rule that a field which is not
understood goes into the notes. Knows neither the file nor the store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from crm_store.models import Channel, ContactKind, Segment
from crm_store.people.cards import card_number
from crm_store.people.csv_records import Record
from crm_store.people.customers import ContactWay, checked_name, contact_way, fold_name

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


@dataclass(slots=True)
class CustomerLine:
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


def meanings_of(heading: list[str], columns: Mapping[str, str]) -> list[str]:
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


def understood(
    record: Record, heading: list[str], meanings: list[str], region: str
) -> CustomerLine | tuple[Record, str]:
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
    line = CustomerLine(
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


def _read_ways(line: CustomerLine, values: dict[str, list[str]], region: str) -> None:
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


def _read_choices(line: CustomerLine, values: dict[str, list[str]]) -> None:
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
