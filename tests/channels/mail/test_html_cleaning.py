"""Foreign HTML: what is left of it does nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.html_cleaning import clean, has_remote_images, text_of, with_images

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>",
        "<style>p {color: red}</style>",
        "<svg onload=x><script>x</script></svg>",
        "<math><mi//xlink:href='data:x,<script>x</script>'>",
        "<iframe src='https://x.example'></iframe>",
        "<object data=x></object><embed src=x>",
        "<form action=x><input name=y></form>",
        "<link rel=stylesheet href=x><meta http-equiv=refresh content='0;url=x'>",
        "<base href='https://x.example'>",
        "<!--[if IE]><script>x</script><![endif]-->",
        "<template><img src=x onerror=y></template>",
        "<noscript><p title='</noscript><img src=x onerror=y>'></noscript>",
    ],
)
def test_what_does_something_is_gone(html: str) -> None:
    cleaned = clean(f"<p>kept</p>{html}")
    assert text_of(cleaned).startswith("kept")
    assert re.sub(r"&\w+;", "", cleaned).count("<") == len(re.findall(r"</?(?:p|img)\b", cleaned))
    for word in ("script", "style", "onerror", "onload", "iframe", "refresh", " src="):
        assert word not in cleaned.replace("&lt;", "")


def test_attributes_that_do_something_are_gone() -> None:
    cleaned = clean(
        '<p style="x" class="btn" id="desk" onclick="x" name="x">a</p>'
        '<a href="javascript:x">b</a><a href="data:text/html,x">c</a><a href="//x.example">d</a>'
        '<a href=" https://x.example/?a=1&b=2" ping="x" title="Your bank">e</a>'
        '<td background="x">f</td><div dir="rtl" lang="fa">g</div>'
    )
    assert cleaned == (
        '<p>a</p><a target="_blank" rel="noopener noreferrer nofollow">b</a>'
        '<a target="_blank" rel="noopener noreferrer nofollow">c</a>'
        '<a target="_blank" rel="noopener noreferrer nofollow">d</a>'
        '<a href="https://x.example/?a=1&amp;b=2" target="_blank" '
        'rel="noopener noreferrer nofollow">e</a>f<div dir="rtl" lang="fa">g</div>'
    )


def test_images_are_fetched_only_when_asked_for() -> None:
    cleaned = clean(
        '<img src="https://x.example/a.png?b=1&c=2" alt="A"><img alt="B" src="cid:b@x">'
        '<img src="//x.example/d"><img src="data:image/png;base64,AA"><img src="file.png">'
        '<img srcset="https://x.example/e 2x" src=x width=10 height="1em" loading=eager>'
    )
    assert cleaned == (
        '<img data-src="https://x.example/a.png?b=1&amp;c=2" alt="A">'
        '<img alt="B" data-cid="b@x"><img><img><img><img width="10">'
    )
    assert has_remote_images(cleaned)
    shown = with_images(cleaned, {"b@x": '/inbox/attachments/7"'})
    assert 'src="/inbox/attachments/7&quot;"' in shown
    assert has_remote_images(shown)
    shown = with_images(cleaned, {}, remote=True)
    assert '<img src="https://x.example/a.png?b=1&amp;c=2" alt="A">' in shown
    assert not has_remote_images(shown)


def test_text_that_looks_like_an_image_stays_text() -> None:
    said = "&lt;img src=&quot;remote:x&quot;&gt; data-src=&quot;y&quot;"
    cleaned = clean(f'<p title="<img src=" lang="{said}">{said}</p>')
    assert text_of(with_images(cleaned, {}, remote=True)) == '<img src="remote:x"> data-src="y"'


def test_what_is_quoted_is_marked() -> None:
    cleaned = clean('<p>yes</p><div class="x gmail_quote">On x wrote:<blockquote>no</blockquote>')
    assert '<div class="quoted">' in cleaned
    assert text_of(cleaned) == "yes\n\nOn x wrote:\n\n> no"


def test_text_of_lists_tables_and_pictures() -> None:
    cleaned = clean(
        "<h1>Title</h1><ul><li>one<li>two</ul><table><tr><td>a<td>b<tr><td>c</table>"
        "<p>x <b>y</b>&nbsp;z<br>line<img src=cid:q alt=box></p><pre>as\n  it is</pre>"
    )
    assert text_of(cleaned).split("\n") == [
        "Title", "", "- one", "- two", "", "a  b", "c", "", "x y z", "line[box]", "", "as",
        "  it is",
    ]  # fmt: skip


def test_nothing_to_show_is_nothing() -> None:
    assert clean("<html><body><p> </p></body></html>") == ""


def test_what_would_take_its_time_is_refused() -> None:
    for piece in ("&", "&#", "&a"):
        with pytest.raises(ValueError, match="ampersands"):
            clean(piece * 160_000)
    assert text_of(clean("<p>" + "&#20320;" * 10_000)) == "你" * 10_000


def test_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match="deep"):
        clean("<div>" * 5_000)
    assert clean("<p>" * 5_000 + "x")


_PIECES = st.sampled_from(
    ["<img src=", "https://x.example/", "cid:x", '"', "'", ">", "<", "<p title=", "<a href=",
     "javascript:", " onerror=", "remote:", "<!--", "-->", "<style>", "</style>", "<svg>", "&quot;",
     "&lt;", "<script>", "data-src=", " src=", "\n", "<math>", "<template>", "</p>", "x"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40))
def test_no_image_is_ever_fetched_by_itself(pieces: list[str]) -> None:
    cleaned = clean("".join(pieces))
    for tag in re.findall(r"<[^<>]*>", cleaned):
        assert not re.search(r"\s(?:src|on\w+|style)=", re.sub(r'"[^"]*"', '""', tag))
