"""Signed links: ours are read, and nothing else is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.database import Database
from crm_store.people.signed_links import OPT_OUT, Signer, signer

pytestmark = pytest.mark.db

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
OURS = Signer(bytes(32))
SAYS = {"address": "王@example.org", "subject": "", "number": 2**53}


def test_what_was_signed_is_read() -> None:
    token = OURS.sign(OPT_OUT, SAYS, HOUR, NOW)
    assert OURS.read(OPT_OUT, token, NOW + timedelta(minutes=59)) == SAYS
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()


def test_it_holds_for_its_time_its_purpose_and_its_installation() -> None:
    token = OURS.sign(OPT_OUT, SAYS, HOUR, NOW)
    assert OURS.read(OPT_OUT, token, NOW + HOUR) is None
    assert OURS.read("sign_in", token, NOW) is None
    assert Signer(b"1" * 32).read(OPT_OUT, token, NOW) is None


@given(place=st.integers(0, 200), letter=st.characters(max_codepoint=0x2FF))
def test_no_letter_of_it_can_be_changed(place: int, letter: str) -> None:
    token = OURS.sign(OPT_OUT, SAYS, HOUR, NOW)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert OURS.read(OPT_OUT, changed, NOW) == (SAYS if changed == token else None)


@given(st.text(max_size=100))
def test_rubbish_is_nothing(text: str) -> None:
    assert OURS.read(OPT_OUT, text, NOW) is None


def test_the_secret_is_in_no_log() -> None:
    assert "00" not in repr(OURS)


async def test_all_have_the_one_secret(database: Database) -> None:
    drawn = await asyncio.gather(*(signer(database) for _ in range(5)))
    assert len({one.secret for one in drawn}) == 1
    assert len(drawn[0].secret) == 32
    assert await signer(database) == drawn[0]
