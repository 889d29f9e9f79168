"""The command line's frame: help, exit codes, one-line errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deskbell.cli import agents, app
from tests.deskbell.command import CommandLine

pytestmark = pytest.mark.unit

COMMANDS = [
    command.name or command.callback.__name__
    for command in app.registered_commands
    if command.callback
]
AGENT_COMMANDS = [command.name for command in agents.registered_commands]


def test_all_commands_of_the_manual_are_there() -> None:
    wanted = {"serve", "demo", "migrate", "call", "phone", "replay", "watch", "doctor", "config"}
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize(
    "words", [[name] for name in COMMANDS] + [["agent", str(name)] for name in AGENT_COMMANDS]
)
def test_every_command_explains_itself_with_an_example(
    deskbell: CommandLine, words: list[str]
) -> None:
    assert deskbell(*words, "--help") == 0
    example = re.search(r"Example: (.*)", deskbell.output)
    assert example, deskbell.output
    assert f"deskbell {' '.join(words)}" in deskbell.output


def test_exit_codes_are_told_by_help(deskbell: CommandLine) -> None:
    assert deskbell("--help") == 0
    assert "3 the configuration can't be used" in " ".join(deskbell.output.split())


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["replay"], ["call", "--hold", "soon"], ["agent", "add", "x", "--role", "king"]],
)
def test_a_command_line_that_is_not_understood_ends_with_2(
    deskbell: CommandLine, words: list[str]
) -> None:
    assert deskbell(*words) == 2
    assert "Traceback" not in deskbell.errors


def test_a_configuration_that_cannot_be_used_ends_with_3(
    deskbell: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[desk]\nport = -1\nprot = 1\n")
    for command in ("config", "serve", "migrate"):
        assert deskbell(command, "--config", file) == 3
        assert deskbell.errors.splitlines() == [
            f"deskbell: {file}:2: [desk] port: Input should be greater than or equal to 0",
            f"deskbell: {file}:3: [desk] prot: no such setting; did you mean port?",
        ]


def test_commands_for_the_demo_say_how_to_start_it(deskbell: CommandLine, tmp_path: Path) -> None:
    for words in (["call"], ["phone", "lin"], ["watch"]):
        assert deskbell(*words, "--folder", tmp_path / "none") == 1
        assert deskbell.errors == (
            "deskbell: no demo is running here; start one in another terminal: make demo\n"
        )


def test_watch_says_that_nobody_answers(
    deskbell: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKBELL_PASSWORD", "whatever")
    assert deskbell("watch", "--url", "http://127.0.0.1:1", "--user", "mei", "--once") == 1
    assert "http://127.0.0.1:1 does not answer: Con" in deskbell.errors
    assert "is the service running?" in deskbell.errors


def test_help_is_quick_because_nothing_else_is_imported() -> None:
    check = (
        "import sys, deskbell.cli; print(sorted(m for m in sys.modules if m in "
        "{'aiohttp', 'sqlalchemy', 'cti', 'agent_desk', 'crm_store', 'uvloop'}))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
