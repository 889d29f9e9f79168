from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from crm_store import audit
from crm_store.database import Database
from crm_store.models import Channel, ContactKind, ContactPoint, Customer, Segment
from crm_store.people import customers
from crm_store.people.csv_records import CsvFile, encoding_of
from crm_store.people.import_customers import ImportReport, import_customers
from crm_store.people.import_lines import UnreadableImport

pytestmark = pytest.mark.db


async def _import(
    database: Database, folder: Path, content: str | bytes, encoding: str | None = None
) -> ImportReport:
    source = folder / "people.csv"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return await import_customers(
        database,
        source,
        rejects=folder / "rejects.csv",
        region="CN",
        actor="admin",
        encoding=encoding,
    )


def _counts(report: ImportReport) -> tuple[int, int, int, int]:
    assert report.read == sum((report.created, report.completed, report.unchanged, report.rejected))
    return report.created, report.completed, report.unchanged, report.rejected


async def test_all_columns_are_understood(database: Database, tmp_path: Path) -> None:
    report = await _import(
        database,
        tmp_path,
        "客户编号,姓名,手机,电话2,邮箱,会员卡号,级别,语言,首选渠道,备注,Shoe size\r\n"
        'C-1, 王芳 ,138 0013 8000,"010-12345678;13900000001",W@Example.com,8800 0000 0000 0005,'
        '贵宾,中文,sms,"likes ""green"" tea\r\nand cakes",42\r\n',
    )
    assert _counts(report) == (1, 0, 0, 0)
    assert report.doubts == []
    [found] = await customers.find_by_phone(database, "+8613800138000")
    assert (found.name, found.reference, found.language) == ("王芳", "C-1", "zh")
    assert (found.segment, found.preferred_channel) == (Segment.VIP, Channel.SMS)
    assert [(way.kind, way.value) for way in found.contact_points] == [
        (ContactKind.PHONE, "+8613800138000"),
        (ContactKind.PHONE, "+861012345678"),
        (ContactKind.PHONE, "+8613900000001"),
        (ContactKind.MAIL, "w@example.com"),
    ]
    assert [card.number for card in found.cards] == ["8800000000000005"]
    assert found.notes.splitlines() == ['likes "green" tea', "and cakes", "Shoe size: 42"]
    [entry] = await audit.entries(database, subject_kind="customers")
    assert (entry.actor, entry.action) == ("admin", "imported")


TEXTS = {
    "chinese": "姓名,电话\n王芳,13800138000\n陈伟,13800138001\n李娜,13800138002\n",
    "persian": "نام,تلفن\nعلي احمدي,13800138000\nمحمد صادق,13800138001\n",
    "spanish": "nombre,teléfono\nJosé Muñoz,13800138000\nBegoña Ibáñez,13800138001\n",
}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("chinese", "utf-8"),
        ("chinese", "utf-8-sig"),
        ("chinese", "utf-16"),
        ("chinese", "utf-16-le"),
        ("chinese", "utf-16-be"),
        ("chinese", "gb18030"),
        ("chinese", "big5"),
        ("persian", "utf-8"),
        ("persian", "cp1256"),
        ("spanish", "cp1252"),
        ("spanish", "latin-1"),
        ("spanish", "utf-16"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_encodings_and_delimiters_are_found(
    sqlite_database: Database, tmp_path: Path, text: str, encoding: str, delimiter: str
) -> None:
    content = TEXTS[text].replace("李", "林" if encoding == "big5" else "李")
    if encoding == "big5":
        content = content.replace("电话", "手機").replace("陈伟", "林大明")
        content = content.replace("手機", "tel")
    report = await _import(
        sqlite_database, tmp_path, content.replace(",", delimiter).encode(encoding)
    )
    assert report.delimiter == delimiter
    assert report.created == content.count("\n") - 1
    [found] = await customers.find_by_phone(sqlite_database, "+8613800138000")
    assert found.name == content.split("\n")[1].split(",")[0]


DIRTY = (
    "name,phone,card,mail\n"
    "Wang Fang,13800138000,,\n"
    "WANG FANG,+86 138 0013 8000,,wang@example.com\n"  # the same person, with something new
    "Wang Fang,(0086)13800138000,,\n"  # and again
    "Chen Wei,13800138000,,\n"  # shares the number, another person
    ",13800138002,,\n"
    "No Way,,,\n"
    "Bad Number,8.61E+12,,bad@example.com\n"
    "Only Bad,12345,,\n"
    'Open "quote,13800138003,,\n'
    '"Never closed,13800138004,,\n'
    "After It,13800138005,,\n"
    "Too many,13800138006,,,,x\n"
    "Card One,,8800000000000005,\n"
    "Card Thief,13800138007,8800000000000005,\n"
    "\n"
    '=\'=13800138008,="13800138008",,\n'
    "Last Line,'13800138009,8800000000000006,"
)


async def test_dirty_lines_are_told_and_kept_and_a_second_run_makes_no_doubles(
    database: Database, tmp_path: Path
) -> None:
    first = await _import(database, tmp_path, DIRTY)
    rejected = (tmp_path / "rejects.csv").read_text()
    assert _counts(first) == (8, 1, 1, 6)
    assert rejected == (
        "name,phone,card,mail\n"
        ",13800138002,,\n"
        "No Way,,,\n"
        "Only Bad,12345,,\n"
        '"Never closed,13800138004,,\n'
        "Too many,13800138006,,,,x\n"
        "Card Thief,13800138007,8800000000000005,\n"
    )
    assert [(problem.line, problem.reason) for problem in first.rejected_lines] == [
        (6, "no name"),
        (7, "no phone, mail, card or reference that could be used"),
        (9, "no phone, mail, card or reference that could be used"),
        (11, "a quote is opened and never closed"),
        (13, "more fields than the heading has"),
        (15, "the card is another customer's"),
    ]
    assert [problem.line for problem in first.doubts] == [8, 18]
    assert "8.61" not in repr(first)
    [bad] = await customers.search_by_name(database, "bad number")
    card = await customers.card(database, bad.id)
    assert card is not None
    assert card.notes == "phone: 8.61E+12"

    second = await _import(database, tmp_path, DIRTY)
    assert _counts(second) == (0, 0, 10, 6)
    assert (tmp_path / "rejects.csv").read_text() == rejected
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(Customer)) == 8
        assert await session.scalar(select(func.count()).select_from(ContactPoint)) == 8


async def test_what_the_store_knows_is_completed_and_never_overwritten(
    database: Database, tmp_path: Path
) -> None:
    await _import(database, tmp_path, "name,phone,notes\nAna,13800138000,first\n")
    report = await _import(
        database,
        tmp_path,
        "reference,name,phone,mail,language,notes\n7,Ana,13800138000,ana@example.com,es,second\n"
        "7,Ana María,13800138001,,,\n",
    )
    assert _counts(report) == (0, 2, 0, 0)
    [found] = await customers.find_by_phone(database, "+8613800138001")
    assert (found.name, found.language, found.reference) == ("Ana", "en", "7")
    assert found.notes == "first\nsecond"
    assert len(found.contact_points) == 3


async def test_broken_bytes_reject_their_line_only_and_stay_as_they_were(
    sqlite_database: Database, tmp_path: Path
) -> None:
    broken = b"Jos\xe9,13800138000\r\n"
    good = "".join(f"José {i},1390000{i:04d}\r\n" for i in range(30)).encode()
    report = await _import(sqlite_database, tmp_path, b"name,phone\r\n" + broken + good)
    assert _counts(report) == (30, 0, 0, 1)
    assert (tmp_path / "rejects.csv").read_bytes() == b"name,phone\r\n" + broken


async def test_rejects_of_any_encoding_can_be_mended_and_imported(
    sqlite_database: Database, tmp_path: Path
) -> None:
    await _import(sqlite_database, tmp_path, "姓名,电话\n王芳,1\n".encode("utf-16"))
    rejects = tmp_path / "rejects.csv"
    assert rejects.read_bytes() == "姓名,电话\n王芳,1\n".encode("utf-16")
    mended = rejects.read_bytes().replace(
        "1".encode("utf-16-le"), "13800138000".encode("utf-16-le")
    )
    assert _counts(await _import(sqlite_database, tmp_path, mended)) == (1, 0, 0, 0)


@pytest.mark.parametrize("content", ["", "\n\n", "a,b\n1,2\n", "phone\n13800138000\n"])
async def test_a_file_without_names_is_refused_as_a_whole(
    sqlite_database: Database, tmp_path: Path, content: str
) -> None:
    with pytest.raises(UnreadableImport, match="no column holds a name"):
        await _import(sqlite_database, tmp_path, content)


async def test_an_encoding_that_there_is_none_of_is_refused(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableImport):
        await _import(sqlite_database, tmp_path, "name,phone\n", encoding="klingon")


async def test_headings_can_be_told(sqlite_database: Database, tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_text("sep=;\nKundenname;Rufnummer\nJürgen;13800138000\n")
    seen: list[int] = []
    report = await import_customers(
        sqlite_database,
        source,
        rejects=tmp_path / "rejects.csv",
        region="CN",
        actor="admin",
        columns={"kundenname": "name", "Rufnummer": "phone"},
        progress=seen.append,
    )
    assert (_counts(report), seen) == ((1, 0, 0, 0), [1])


async def test_a_larger_file_in_chunks(sqlite_database: Database, tmp_path: Path) -> None:
    lines = [f"Person {i % 1500},1390000{i % 1500:04d}" for i in range(3_000)]
    report = await _import(sqlite_database, tmp_path, "name,phone\n" + "\n".join(lines))
    assert _counts(report) == (1_500, 0, 1_500, 0)


def test_a_stray_quote_does_not_swallow_its_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text('a,b\n"x,1\n' + "".join(f"{i},2\n" for i in range(200)) + 'y,"z\nz",3\n')
    with CsvFile(path) as file:
        records = list(file.records())
    assert [record.line for record in records] == list(range(2, 204))
    assert [record.problem for record in records if record.problem] == [
        "a quote is opened and never closed"
    ]
    assert records[-1].fields == ["y", "z\nz", "3"]


def test_a_long_ascii_file_is_unicode(tmp_path: Path) -> None:
    path = tmp_path / "ascii.csv"
    path.write_text("name,phone\n" * 1_000)
    assert encoding_of(path) == "utf-8"
