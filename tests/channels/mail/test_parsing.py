"""Mails as they come: recorded ones, hostile ones, and any bytes at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.incoming import Incoming
from channels.mail.parsing import MOST_FILES, parse

pytestmark = pytest.mark.unit

MAILS = Path(__file__).parent / "mails"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OURS = ["service@mall.example", "orders@mall.example"]


def read(raw: bytes, **options: str) -> Incoming:
    return parse(raw, received_at=NOW, our_addresses=OURS, **options)


def recorded(name: str) -> Incoming:
    return read((MAILS / f"{name}.eml").read_bytes())


# ---- as they are written -------------------------------------------------------------------------


def test_letters_of_gb2312_that_were_cut_and_are_none_of_it() -> None:
    found = recorded("gb2312_subject_cut_within_a_letter")
    assert (found.sender, found.sender_name) == ("wang@customers.example", "王芳")
    assert found.subject == "你好吗"
    assert found.text == "有红色的吗？价格是￥100，镕"
    assert found.language == "zh"
    assert found.sent_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert not found.problems


def test_a_picture_in_the_text_and_one_from_elsewhere() -> None:
    found = recorded("outlook_html_inline_image")
    assert found.text == "See the picture."
    assert found.quoted.startswith("From: Shop")
    assert [(file.name, file.content_id) for file in found.files] == [
        ("image001.png", "image001.png@01D")
    ]
    assert 'data-cid="image001.png@01D"' in found.html
    assert 'data-src="https://tracker.example/p.gif?u=1"' in found.html
    assert " src=" not in found.html
    assert "style" not in found.html
    assert "onclick" not in found.html
    assert '<div class="quoted">' in found.html
    assert found.reply_to == ["<ours-1@mall.example>", "<ours-2@mall.example>"]


def test_winmail_and_an_invitation_are_files() -> None:
    found = recorded("winmail_and_invitation")
    assert found.text == "Shall we meet?"
    assert [(file.name, file.media_type) for file in found.files] == [
        ("winmail.dat", "application/ms-tnef"),
        ("invitation.ics", "text/calendar"),
    ]


def test_names_of_files_in_all_ways_and_leading_nowhere() -> None:
    found = recorded("rfc2231_names")
    assert [file.name for file in found.files] == ["فاکتور.pdf", "发票.pdf", "passwd.exe"]


def test_paragraphs_that_flow() -> None:
    found = recorded("flowed")
    assert found.text == (
        "This is one paragraph that a mail program has broken for us.\n\nAnd another."
    )
    assert found.quoted.endswith("> quoted words that go on")


def test_broken_mime_is_read_as_far_as_it_goes() -> None:
    found = recorded("no_boundary_end_and_bad_base64")
    assert found.text == "Still to be read."
    assert found.files[0].content.startswith(b"%PDF-1.4")
    assert found.problems == ["broken"]


def test_no_headers_at_all() -> None:
    found = recorded("no_headers_at_all")
    assert found.text == "just a line\nand another"
    assert (found.sender, found.message_id) == ("", "")
    assert found.external_key


def test_a_form_writes_for_whom_it_names() -> None:
    found = recorded("form_on_a_website")
    assert (found.sender, found.sender_name) == ("carla@customers.example", "Carla")
    assert found.our_address == "orders@mall.example"
    assert found.automatic == ""


def test_latin_letters_without_a_charset() -> None:
    found = recorded("latin_without_a_charset")
    assert found.subject.endswith("Hay otro?")
    assert "tienda" in found.text
    assert "charset" in found.problems


def test_a_mail_within_the_mail_is_a_file() -> None:
    found = recorded("forwarded_mail_inside")
    assert found.text == "See below."
    assert [file.name for file in found.files] == ["Inner .. words.eml"]
    assert b"The inner text." in found.files[0].content


def test_a_footer_as_html_does_not_hide_the_text() -> None:
    found = recorded("footer_as_html")
    assert found.text == "Is 3 < 4?\n\nSent by our gateway"
    assert "Is 3 &lt; 4?" in found.html
    assert "Sent by our gateway" in found.html


@pytest.mark.parametrize(
    ("name", "automatic"),
    [
        ("newsletter", "list"),
        ("out_of_office", "auto_reply"),
        ("returned", "bounce"),
        ("complaint", "complaint"),
        ("flowed", ""),
    ],
)
def test_who_wrote_it_by_itself(name: str, automatic: str) -> None:
    assert recorded(name).automatic == automatic


@pytest.mark.parametrize(
    ("header", "automatic"),
    [
        ("Auto-Submitted: no", ""),
        ("Auto-Submitted: auto-generated", "auto_reply"),
        ("Precedence: bulk", "list"),
        ("Precedence: auto_reply", "auto_reply"),
        ("X-Auto-Response-Suppress: DR, OOF, AutoReply", "list"),
        ("X-Auto-Response-Suppress: DR", ""),
        ("X-Autoreply: yes", "auto_reply"),
        ("Return-Path: <>", "auto_reply"),
        ("Return-Path: <a@b.example>", ""),
        ("From: service@mall.example", "auto_reply"),
        ("From: mailer-daemon@b.example", "bounce"),
        ("From: do-not-reply@b.example", "auto_reply"),
    ],
)
def test_signs_of_a_machine(header: str, automatic: str) -> None:
    sender = "" if header.startswith("From") else "From: a@b.example\n"
    assert read(f"{sender}{header}\n\nhi\n".encode()).automatic == automatic


@pytest.mark.parametrize(
    ("results", "proven"),
    [
        ("mx.mall.example; dmarc=pass header.from=b.example", True),
        ("mx.mall.example; dmarc=pass", True),
        ("mx.mall.example; dmarc=pass header.from=evil.example", False),
        ("mx.mall.example; dkim=pass header.d=b.example", True),
        ("mx.mall.example; spf=pass smtp.mailfrom=x@b.example", True),
        ("mx.mall.example; dkim=pass header.d=evil.example", False),
        ("mx.mall.example; dkim=fail header.d=b.example", False),
        ("mx.evil.example; dmarc=pass header.from=b.example", None),
        ('mx.mall.example; spf=pass smtp.mailfrom="; dmarc=pass"@evil.example', False),
        ("mx.mall.example; spf=fail (x; dkim=pass header.d=b.example)", False),
        ("", None),
    ],
)
def test_whether_the_sender_was_proven(results: str, proven: bool | None) -> None:
    header = f"Authentication-Results: {results}\n" if results else ""
    raw = f"{header}From: a@b.example\n\nhi\n".encode()
    assert read(raw, checked_by="mx.mall.example").is_authenticated is proven
    assert read(raw).is_authenticated is None


@pytest.mark.parametrize(
    "written_by",
    [
        "From: no-reply@evil.example\nReply-To: wang@b.example",
        "From: wang@b.example, mallory@evil.example",
        "From: wang@b.example\nFrom: mallory@evil.example",
    ],
)
def test_what_proves_somebody_else_proves_nothing(written_by: str) -> None:
    header = "Authentication-Results: mx.mall.example; dmarc=pass"
    for about in ("", " header.from=evil.example"):
        raw = f"{header}{about}\n{written_by}\n\nhi\n".encode()
        found = read(raw, checked_by="mx.mall.example")
        assert (found.sender, found.is_authenticated) == ("wang@b.example", False)


def test_one_mail_has_one_key_by_whatever_way_it_comes() -> None:
    plain = b"From: a@b.example\r\nSubject: x\r\n\r\nhi\r\n"
    assert read(b"Received: by mx1\r\n" + plain).external_key == read(plain).external_key
    assert read(plain).external_key != read(plain + b"!").external_key
    named = b"Message-ID: <1@b>\r\n" + plain
    other = named.replace(b"a@b.example", b"c@d.example")
    assert read(named).external_key == "<1@b> a@b.example"
    assert read(other).external_key == "<1@b> c@d.example"


def test_headers_hold_no_second_line_and_nothing_that_turns_the_reading() -> None:
    found = read(
        b"From: =?utf-8?q?A=0D=0ABcc:_x@y.z=00?= <a@b.example>\n"
        b"Subject: =?utf-8?q?one=0Atwo_=E2=80=AEthree?=\n\nhi\n"
    )
    assert found.sender_name == "A Bcc: x@y.z"
    assert found.subject == "one two three"


# ---- hostile ones --------------------------------------------------------------------------------

_HEAD = b"From: a@b.example\r\nTo: service@mall.example\r\n"
_MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
_HTML = b"Content-Type: text/html\r\n\r\n"

TORTURES: dict[str, Callable[[], bytes]] = {
    "10,000 deep": lambda: b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(10_000)
    ),
    "10,000 mails within mails": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 10_000,
    "folded so that it is hardly seen": lambda: (
        b"Content-Type:\r\n\t \r\n multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 10_000
    ),
    "one boundary for all": lambda: (
        _MIXED + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 10_000
    ),
    "many parts": lambda: _MIXED + b"--b\r\n\r\nx\r\n" * 20_000,
    "many files": lambda: _MIXED + b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n" * 5_000,
    "a head of 5 MB": lambda: b"X: y\r\n" * 800_000,
    "no end of the head": lambda: b"A" * 5_000_000,
    "spaces in a head": lambda: b"Content-Type:" + b"\r\n " * 100_000,
    "brackets": lambda: b"Cc: " + b"(" * 500_000,
    "addresses": lambda: b"Cc: " + b"a@b.c," * 200_000,
    "quotes": lambda: b"Cc: " + b'"' * 100_001,
    "parameters": lambda: b"Content-Type: text/plain" + b"; a=b" * 90_000 + b"\r\n\r\nx",
    "continued parameters": lambda: (
        b"Content-Type: text/plain"
        + b"".join(b"; a*%d*=b" % n for n in range(40_000))
        + b"\r\n\r\nx"
    ),
    "encoded words": lambda: b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\r\n\r\nx",
    "divs": lambda: _HTML + b"<div>" * 200_000,
    "tables": lambda: _HTML + b"<table><tr><td>" * 60_000,
    "brackets of HTML": lambda: _HTML + b"<" * 100_000,
    "ampersands": lambda: _HTML + b"&" * 200_000,
    "comments": lambda: _HTML + b"<!--" * 200_000,
    "flowed": lambda: b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"a \r\n" * 300_000,
    "idna": lambda: b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"a." * 400_000,
    "punycode": lambda: b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 400_000,
    "NUL in a charset": lambda: (
        b'Content-Type: text/plain; charset="a\0b"\r\n\r\n' + bytes(range(128, 256))
    ),
    "NULs": lambda: b"\0" * 100_000,
    "line ends": lambda: b"\r" * 100_000,
}


@pytest.mark.parametrize("name", TORTURES)
def test_hostile_mails_are_read_within_bounds(name: str) -> None:
    """Each would take minutes or for ever without the bounds: the test's time-out ends it then."""
    raw = _HEAD + TORTURES[name]()
    found = read(raw)
    check(found)
    assert found.raw == raw
    assert found.sender == "a@b.example"


def test_deep_and_cut_mails_say_so() -> None:
    assert "nested" in read(_HEAD + TORTURES["10,000 deep"]()).problems
    assert "cut" in read(_HEAD + b"\r\n" + (b"x" * 98 + b"\r\n") * 1_000_000).problems
    many = read(_HEAD + TORTURES["many files"]())
    assert "too_many_files" in many.problems
    assert len(many.files) == MOST_FILES


def check(found: Incoming) -> None:
    """What holds for whatever comes out of a mail."""
    assert found.external_key
    for line in (found.subject, found.sender, found.sender_name, found.message_id):
        assert line == "".join(letter for letter in line if letter.isprintable())
    for text in (found.text, found.quoted, found.html):
        assert "\0" not in text
        text.encode()
    assert "<script" not in found.html.lower()
    assert " src=" not in found.html
    for file in found.files:
        assert file.name
        assert not {"/", "\\", "\0", "\n"} & set(file.name)


@given(st.binary(max_size=2_000))
@settings(max_examples=100)
def test_any_bytes_are_a_mail(raw: bytes) -> None:
    check(read(raw))


_PIECES = st.sampled_from(
    [
        b"From: ", b"a@b.example", b"\r\n", b"\n", b"\r\n\r\n", b"Content-Type: ", b"text/html",
        b"multipart/mixed; boundary=b", b"multipart/alternative; boundary=c", b"--b", b"--c",
        b"--b--", b"message/rfc822", b"message/delivery-status", b"text/plain; charset=", b"utf-7",
        b"gb2312", b"x-user-defined", b"Content-Transfer-Encoding: ", b"base64",
        b"quoted-printable", b"x-uuencode", b"begin 644 x\r\nM\r\n", b"=?utf-8?b?", b"?=", b"AAAA",
        b"=C3=28", b"<script>x</script>", b"<img src=cid:x>", b"\xff\xfe", b"\0",
        b"Content-Disposition: attachment; filename*=utf-8''%FF", b"; name=", b'"', b"\\",
        b"Content-ID: <x>", b"Date: Sun, 99 Nov 99999 99:99:99 +9999", b"; format=flowed", b"> ",
        b"Message-ID: <x@y>", b"References: <a> <b> x", b"On x wrote:",
    ]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=60))
@settings(max_examples=150)
def test_any_pieces_of_mime_are_a_mail(pieces: list[bytes]) -> None:
    check(read(b"".join(pieces)))
