"""The doctor where things are missing or wrong: each finding says what and how to mend it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deskbell.finding import State, drift
from tests.deskbell.command import CommandLine

pytestmark = pytest.mark.db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration of a desk that does not run."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = tmp_path / "deskbell.toml"
    found.write_text(f"[desk]\nport = {port}\n")
    return found


def examined(deskbell: CommandLine, file: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    code = deskbell("doctor", "--config", file, "--json")
    findings = json.loads(deskbell.output)
    for finding in findings:
        assert finding["remedy"] or finding["state"] == "ok", finding
    return code, {finding["topic"]: finding for finding in findings}


def test_a_new_machine_is_told_what_comes_first(deskbell: CommandLine, file: Path) -> None:
    code, found = examined(deskbell, file)
    assert code == 1
    assert "has no tables yet" in found["database"]["message"]
    assert found["database"]["remedy"] == "run: deskbell migrate"
    assert "the service is down" in found["service"]["message"]
    assert "never started" in found["PBX main"]["message"]
    assert found["clock"]["state"] == found["disk"]["state"] == "ok"
    assert not (file.parent / "var").exists(), "the doctor makes nothing"


def test_after_migrate_only_people_and_a_running_service_are_missing(
    deskbell: CommandLine, file: Path
) -> None:
    assert deskbell("migrate", "-c", file) == 0
    code, found = examined(deskbell, file)
    assert code == 0
    assert found["database"]["state"] == "ok"
    assert "deskbell agent add" in found["agents"]["remedy"]
    assert {topic for topic, f in found.items() if f["state"] == "warn"} == {
        "agents",
        "service",
        "PBX main",
    }


def test_sound_that_belongs_to_no_call_is_told(deskbell: CommandLine, file: Path) -> None:
    assert deskbell("migrate", "-c", file) == 0
    folder = file.parent / "var/pbx/spool/monitor"
    folder.mkdir(parents=True)
    (folder / "a1b2.wav").write_bytes(b"")
    _, found = examined(deskbell, file)
    assert found["recordings"]["state"] == "warn"
    assert "1 files belong to no call, such as a1b2.wav" in found["recordings"]["message"]


def test_text_is_for_people(deskbell: CommandLine, file: Path) -> None:
    assert deskbell("doctor", "--config", file) == 1
    assert "✗ database: " in deskbell.output
    assert "    → run: deskbell migrate" in deskbell.output
    assert "checks: 1 failed, 2 warnings." in deskbell.output


def test_each_mistake_in_the_configuration_is_a_finding(deskbell: CommandLine, file: Path) -> None:
    file.write_text("[desk]\nport = -1\nprot = 2\n")
    assert deskbell("doctor", "--config", file, "--json") == 1
    findings = json.loads(deskbell.output)
    assert [finding["message"].partition(": ")[0] for finding in findings] == [
        f"{file}:2",
        f"{file}:3",
    ]


def test_a_database_server_that_is_away(
    deskbell: CommandLine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKBELL_STORE_URL", "postgresql://desk:hidden-word@127.0.0.1:1/desk")
    code, found = examined(deskbell, file)
    assert code == 1
    assert "can't be reached" in found["database"]["message"]
    assert "hidden-word" not in deskbell.output


def test_a_file_that_is_no_database(deskbell: CommandLine, file: Path) -> None:
    (file.parent / "var").mkdir()
    (file.parent / "var/deskbell.db").write_bytes(b"not a database, but long enough " * 100)
    code, found = examined(deskbell, file)
    assert code == 1
    assert "file is not a database" in found["database"]["message"]


def test_something_else_at_the_desks_port(deskbell: CommandLine, file: Path) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>another program</html>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            file.write_text(f"[desk]\nport = {server.server_port}\n")
            _, found = examined(deskbell, file)
        finally:
            server.shutdown()
            thread.join()
    assert "is not a healthy Deskbell" in found["service"]["message"]


def test_an_unknown_time_zone(
    deskbell: CommandLine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Middle/Earth")
    _, found = examined(deskbell, file)
    assert "TZ=Middle/Earth is unknown" in found["clock"]["message"]


def test_a_clock_before_the_program_was_installed(
    deskbell: CommandLine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    code, found = examined(deskbell, file)
    assert code == 1
    assert "1970-01-01" in found["clock"]["message"]


def test_drift_is_told_in_both_directions() -> None:
    assert drift("clock", 0.2).state is State.OK
    assert drift("clock", -5).message == "5.00 s behind this machine's"
    assert drift("clock", 5).state is State.WARN
    assert os.linesep not in drift("clock", 5).remedy
