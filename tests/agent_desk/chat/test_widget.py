"""The widget's script: what it is made of, and that it has all its words."""

from __future__ import annotations

import gzip
import re

import pytest

from agent_desk.chat.widget import FOLDER, PARTS_IN_ORDER, widget_script
from agent_desk.chat.words import launcher_words, widget_words
from agent_desk.languages import NAMES, language
from channels.attachments import KeptFile

pytestmark = pytest.mark.unit

SCRIPT = widget_script().decode()
MOST_BYTES = 20_000


def test_it_is_one_small_file_of_all_parts() -> None:
    assert {file.stem for file in FOLDER.glob("*.js")} == set(PARTS_IN_ORDER)
    assert len(gzip.compress(SCRIPT.encode())) < MOST_BYTES


@pytest.mark.parametrize(
    "dangerous",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
     "document.cookie", "location.search", "location.href", "postMessage", "import("],
)  # fmt: skip
def test_it_parses_no_text_and_reads_no_secret(dangerous: str) -> None:
    assert dangerous not in SCRIPT


def test_it_says_only_what_it_is_given() -> None:
    used = set(re.findall(r"\bwords\.(\w+)", SCRIPT))
    given = set(widget_words(language("en")))
    assert len(used) > 40
    assert used <= given, used - given
    built = {key for key in given if key.split("_")[0] in ("refused", "problem", "proof", "file")}
    also = {"launcher", "transcript_done", "reach_done", "minimise"}
    assert given - used - built - also == set()


def test_every_reason_of_a_refusal_has_words() -> None:
    reasons = re.search(r"reason` says why:\s*([\w\s,]+)\.", KeptFile.__doc__ or "")
    assert reasons is not None
    for reason in re.findall(r"\w+_\w+|executable", reasons[1]):
        if reason not in ("too_many", "message_too_large"):
            assert f"refused_{reason}" in widget_words(language("en"))


@pytest.mark.parametrize("code", NAMES)
def test_the_button_speaks_before_anything_is_asked(code: str) -> None:
    assert launcher_words()[code].keys() == launcher_words()["en"].keys()
    assert all(launcher_words()[code].values())
