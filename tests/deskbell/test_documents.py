"""README and docs: links, commands and make targets exist; every address, key and state is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.languages import language
from crm_store.signals import AgentState
from cti.agents.pause_reasons import RESERVED_REASONS, WRAP_UP
from cti.agents.queue_model import PHONE_UNREACHABLE
from deskbell.cli import app
from deskbell.config import variable_names
from deskbell.request_reference import reference

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


def document(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert f"docs/{page.name}" in readme


def test_every_address_is_documented_as_it_is() -> None:
    assert document("requests.md") == reference(), "run: deskbell requests > docs/requests.md"


def test_every_state_and_reserved_reason_is_documented() -> None:
    push, agent = document("push.md"), document("agent.md")
    shown = desk_texts(language("en"))["state"]
    for state in AgentState:
        assert state.value in push
        assert f"| {shown[state.value]} |" in agent
    for reason in {*RESERVED_REASONS, PHONE_UNREACHABLE}:
        assert f"`{reason}`" in push or reason == WRAP_UP, "a wrap-up is a state, without a reason"
        assert f"`{reason}`" in document("supervisor.md")


def test_every_push_topic_is_documented() -> None:
    """Topics are named where they are made: hub.topic("name"), or a topic_of function."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "agent_desk").rglob("*.py"))
    names = set(re.findall(r"\.topic\(\"(\w+)\"", code))
    names |= {f"{name}:" for name in re.findall(r"def topic_of\(.*?return f\"(\w+):", code, re.S)}
    assert names >= {"agent:", "tasks:", "queues"}, f"the search found only {names}"
    headings = re.findall(r"^### .*", document("push.md"), re.MULTILINE)
    for name in names:
        assert any(f"`{name}" in heading for heading in headings), f"push.md has no {name}"


def test_every_shortcut_of_the_desk_is_documented() -> None:
    keys: set[str] = set()
    for file in (ROOT / "agent_desk/static").glob("*.js"):
        code = file.read_text(encoding="utf-8")
        keys |= set(re.findall(r"\bkeys: \"([^\"]+)\"", code))
        keys |= set(re.findall(r"^ *command\(\"[\w-]+\", .*?, \"([^\"]+)\",", code, re.MULTILINE))
    assert {"a", "Ctrl+k", "?"} <= keys, f"the search found only {keys}"
    signs = {"Ctrl+Enter": "Ctrl+⏎", "Backspace": "⌫", "Escape": "Esc"}
    told = document("agent.md")
    for key in keys:
        shown = signs.get(key, key)
        shown = "+".join(part.upper() if len(part) == 1 else part for part in shown.split("+"))
        assert f"`{shown}`" in told, f"agent.md does not tell of {shown}"


def test_every_module_of_the_store_is_told() -> None:
    told = document("store.md")
    room = ROOT / "crm_store"
    for module in room.rglob("*.py"):
        if module.stem != "__init__" and not {"models", "migrations"} & set(module.parts):
            assert f"`{module.stem}`" in told, f"store.md has no {module.relative_to(room)}"


def test_every_context_of_the_dialplan_is_told() -> None:
    """Whoever includes ours must know which names are taken."""
    template = (ROOT / "asterisk_conf/extensions.conf.j2").read_text(encoding="utf-8")
    for context in re.findall(r"^\[([\w-]+)\]", template, re.MULTILINE):
        if context != "general":
            assert f"`{context}`" in document("asterisk.md"), context
