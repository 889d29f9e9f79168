"""README and docs: links lead somewhere, commands exist, make targets exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deskbell.cli import app
from deskbell.config import variable_names

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = {group.name for group in app.registered_groups}
COMMANDS = GROUPS | {
    command.name or (command.callback.__name__ if command.callback else "")
    for command in app.registered_commands
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_and_variables_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"(?:`|\.venv/bin/)deskbell ([a-z][a-z-]*)", text):
        assert command in COMMANDS, f"{page.name} names deskbell {command}"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"(?:`|^    )make ([a-z]+)", text, re.MULTILINE):
        assert target in targets, f"{page.name} names make {target}"
    known = {*variable_names(), *variable_names(2, ("north", "south"))}
    for variable in re.findall(r"\bDESKBELL_[A-Z]+_[A-Z_]*[A-Z]\b", text):
        if variable != "DESKBELL_SECTION_SETTING":
            assert variable in known, f"{page.name} names {variable}"
