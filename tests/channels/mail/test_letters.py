"""Letters, read back with Python's own parser and with ours."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.letters import MOST_REFERENCES, Letterhead, compose
from channels.mail.parsing import parse
from channels.senders import Outgoing, OutgoingFile, Refused
from crm_store.models import Channel

pytestmark = pytest.mark.unit

HEAD = Letterhead(
    house="Mall of Harmony, Ltd.",
    address="service@mall.example",
    signatures={"en": "Mall of Harmony\n+86 21 5555 0100", "fa": "مرکز خرید هماهنگی"},
    unsubscribe_link=lambda address: f"https://mall.example/u/{len(address)}",
)


def outgoing(**fields: Any) -> Outgoing:
    return Outgoing(
        **{
            "id": 1,
            "channel": Channel.MAIL,
            "to": "anna@customers.example",
            "text": "Yes, in red & blue.\n\nSee https://mall.example/a?b=1&c=2.",
            "subject": "Re: A question",
            "idempotency_key": "k",
            "message_id": "<k@mall.example>",
            "language": "en",
            **fields,
        }
    )


def read(message: Outgoing) -> EmailMessage:
    found = BytesParser(policy=policy.default).parsebytes(compose(message, HEAD).content)
    assert isinstance(found, EmailMessage)
    return found


def body(found: EmailMessage, kind: str) -> str:
    part = found.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_an_answer() -> None:
    found = read(outgoing(author_name="Lin", our_address="orders@mall.example"))
    assert found["From"].addresses[0].display_name == "Mall of Harmony, Ltd."
    assert found["From"].addresses[0].addr_spec == "orders@mall.example"
    assert found["To"] == "anna@customers.example"
    assert found["Subject"] == "Re: A question"
    assert found["Message-ID"] == "<k@mall.example>"
    assert found["Auto-Submitted"] is None
    assert found["List-Unsubscribe"] is None
    assert body(found, "plain") == (
        "Yes, in red & blue.\n\nSee https://mall.example/a?b=1&c=2.\n\n"
        "-- \nLin\nMall of Harmony\n+86 21 5555 0100\n"
    )
    html = body(found, "html")
    assert '<p dir="auto">Yes, in red &amp; blue.</p>' in html
    assert '<a href="https://mall.example/a?b=1&amp;c=2">' in html
    assert "Lin<br>Mall of Harmony" in html


def test_persian_reads_from_right_to_left() -> None:
    html = body(read(outgoing(language="fa", text="سلام")), "html")
    assert '<html lang="fa" dir="rtl">' in html
    assert "مرکز خرید هماهنگی" in html


def test_its_thread_is_named_and_not_without_end() -> None:
    ids = [f"<{number}@x.example>" for number in range(100)]
    found = read(outgoing(headers={"In-Reply-To": ids[-1], "References": " ".join(ids)}))
    assert found["In-Reply-To"] == ids[-1]
    assert found["References"].split() == [ids[0], *ids[1 - MOST_REFERENCES :]]


def test_a_promotion_says_how_to_hear_no_more() -> None:
    found = read(outgoing(purpose="promotion"))
    assert found["List-Unsubscribe"] == (
        "<https://mall.example/u/22>, <mailto:service@mall.example?subject=unsubscribe>"
    )
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert found["Precedence"] == "bulk"
    assert "https://mall.example/u/22" in body(found, "plain")
    assert 'href="https://mall.example/u/22"' in body(found, "html")


@pytest.mark.parametrize(
    ("purpose", "said"),
    [("automatic", "auto-replied"), ("notice", "auto-generated"), ("code", "auto-generated")],
)
def test_a_machine_says_that_it_is_one_and_ours_does_not_answer_ours(
    purpose: str, said: str
) -> None:
    letter = compose(outgoing(purpose=purpose), HEAD)
    assert read(outgoing(purpose=purpose))["Auto-Submitted"] == said
    back = parse(letter.content, received_at=datetime.now(UTC), our_addresses=["other@y.example"])
    assert back.automatic == "auto_reply"


def test_a_repeat_is_marked_and_has_the_same_number() -> None:
    first, again = read(outgoing()), read(outgoing(is_repeat=True))
    assert first["Message-ID"] == again["Message-ID"]
    assert (first["X-Deskbell-Repeat"], again["X-Deskbell-Repeat"]) == (None, "yes")


def test_files_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"%PDF-1.4 \xff\0")
    file = OutgoingFile(name="发票\r\n.pdf", media_type="application/pdf", path=tmp_path / "a")
    found = read(outgoing(files=[file]))
    attached = list(found.iter_attachments())
    assert [(part.get_filename(), part.get_content()) for part in attached] == [
        ("发票 .pdf", b"%PDF-1.4 \xff\0")
    ]
    gone = OutgoingFile(name="x", media_type="", path=tmp_path / "gone")
    with pytest.raises(Refused):
        compose(outgoing(files=[gone]), HEAD)


def test_addresses_beyond_ascii() -> None:
    letter = compose(outgoing(to="anna@münchen.example"), HEAD)
    assert (letter.recipient, letter.needs_utf8) == ("anna@xn--mnchen-3ya.example", False)
    assert compose(outgoing(to="用户@例子.example"), HEAD).needs_utf8
    for bad in ("nobody", "a b@c.example", "a@b@c.example", "a@" + "ü" * 70 + ".example"):
        with pytest.raises(Refused) as refused:
            compose(outgoing(to=bad), HEAD)
        assert refused.value.bad_address


_HOSTILE = st.text(st.sampled_from("a:\r\n\0\u2028\x85 \x0b=?<>@é王"), max_size=30)


@given(_HOSTILE, _HOSTILE, _HOSTILE, _HOSTILE)
def test_no_text_begins_a_header_of_its_own(
    subject: str, reference: str, name: str, author: str
) -> None:
    message = outgoing(
        subject=f"{subject}\r\nBcc: x@y.example",
        headers={
            "References": f"{reference}\nBcc: x@y.example",
            "In-Reply-To": reference,
            "Bcc": "x@y.example",
            f"X{name}": "x",
            "From\n": "x",
        },
        author_name=f"{author}\r\nBcc: x@y.example",
    )
    found = read(message)
    assert found["Bcc"] is None
    assert len(found.get_all("From", [])) == 1
    assert {name.lower() for name in found} <= {
        "from", "to", "subject", "date", "message-id", "in-reply-to", "references",
        "mime-version", "content-type",
    }  # fmt: skip
    assert "Yes, in red" in body(found, "plain")
