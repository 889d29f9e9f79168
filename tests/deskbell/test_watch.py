"""`deskbell watch`: the tables, and a connection that is lost and made again."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from deskbell import running_demo
from deskbell.desk_client import DeskClient
from deskbell.watch import tables
from tests.deskbell.command import CommandLine, lines_until, started

HOSTILE = "\x1b[2J\u202eevil\r\n[bold]王[/bold]"


def rendered(client: DeskClient, now: float) -> str:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    console.print(tables(client, now))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.unit
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


@contextmanager
def cuttable_way(url: str) -> Iterator[tuple[str, list[socket.socket]]]:
    """Another address of the desk; closing the sockets of the list cuts every connection."""
    target = (urlsplit(url).hostname, urlsplit(url).port)
    open_now: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(target)
                open_now.extend((near, far))
                for pair in ((near, far), (far, near)):
                    carriers.append(threading.Thread(target=carry, args=pair))
                    carriers[-1].start()

    carriers: list[threading.Thread] = []
    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", open_now
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        cut(open_now)
        for carrier in carriers:
            carrier.join()
        listener.close()
        for end in open_now:
            end.close()


def cut(open_now: list[socket.socket]) -> None:
    for end in open_now:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.mark.asterisk
@pytest.mark.xdist_group("demo")
def test_a_lost_connection_is_made_again_and_everything_shown_anew(demo_folder: Path) -> None:
    demo = running_demo.running(demo_folder)
    supervisor = demo.supervisor()
    with cuttable_way(demo.url) as (url, open_now):
        words = ("watch", "--url", url, "--user", supervisor.login, "--json")
        with started(*words, DESKBELL_PASSWORD=supervisor.password) as watching:
            for _ in range(2):
                missing = {"calls", "queues", "agents"}
                while missing:
                    frame = json.loads(lines_until(watching, '"snapshot"')[-1])
                    missing.remove(frame["topic"])
                cut(open_now)


@pytest.mark.asterisk
@pytest.mark.xdist_group("demo")
def test_a_wrong_password_is_told_in_a_line(
    demo_folder: Path, deskbell: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = running_demo.running(demo_folder).url
    monkeypatch.setenv("DESKBELL_PASSWORD", "not this one")
    assert deskbell("watch", "--url", url, "--user", "nobody", "--once") == 1
    assert deskbell.errors.startswith(f"deskbell: {url} refused nobody: ")
    assert len(deskbell.errors.splitlines()) == 1
