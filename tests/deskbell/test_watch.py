"""`deskbell watch`: the tables. (The live connection is tested with the demo.)"""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from deskbell.desk_client import DeskClient
from deskbell.watch import tables

pytestmark = pytest.mark.unit

HOSTILE = "\x1b[2J\u202eevil\r\n[bold]王[/bold]"


def rendered(client: DeskClient, now: float) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(tables(client, now))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables_show_names_as_text_and_times_as_durations() -> None:
    client = DeskClient("http://desk.example", "mei", "secret-word")
    call = {
        "caller": "+8613800138000",
        "caller_name": HOSTILE,
        "callee": "600",
        "state": "queued",
        "queue": "sales",
        "agent": "",
        "rang": ["lin", "wei"],
        "started_at": 900.0,
        "waiting_since": 935.0,
        "answered_at": None,
    }
    queue = {"waiting": 1, "available": 2, "busy": 3, "paused": 4, "waiting_since": 935.0}
    agent = {"agent": "lin", "name": "林晓", "state": "wrap_up", "reason": "", "queues": ["sales"]}
    client.state.apply({"topic": "calls", "n": 1, "snapshot": {"main/1": call}})
    client.state.apply(
        {"topic": "queues", "n": 1, "snapshot": {"sales": {"queue": "sales", **queue}}}
    )
    client.state.apply(
        {"topic": "agents", "n": 1, "snapshot": {"lin": {**agent, "since": 1000.0 - 3_725}}}
    )
    text = rendered(client, now=1000.0)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]王[/bold]" in text
    assert "1:05" in text
    assert "1:02:05" in text
    assert "wrap up" in text
    assert "lin wei" in text
    assert "not connected" in text
    assert "secret-word" not in text
