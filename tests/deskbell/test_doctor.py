"""The doctor where things are missing or wrong: each finding says what and how to mend it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a program that is no Deskbell and no Asterisk, and answers that to everything."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>another program</html>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


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
        "phone menus",
    }


def test_sound_that_belongs_to_no_call_is_told(deskbell: CommandLine, file: Path) -> None:
    assert deskbell("migrate", "-c", file) == 0
    folder = file.parent / "var/pbx/spool/monitor"
    folder.mkdir(parents=True)
    (folder / "a1b2.wav").write_bytes(b"")
    _, found = examined(deskbell, file)
    assert found["recordings"]["state"] == "warn"
    assert "1 files belong to no call, such as a1b2.wav" in found["recordings"]["message"]


@pytest.mark.parametrize(
    ("desk", "state"),
    [
        ('host = "127.0.0.1"', "ok"),
        ('host = "localhost"', "ok"),
        ('public_url = "https://desk.example.com"', "ok"),
        ('host = "0.0.0.0"', "warn"),
        ('public_url = "http://desk.example.com"', "warn"),
    ],
)
def test_a_desk_that_browsers_give_no_microphone_is_told(
    deskbell: CommandLine, file: Path, desk: str, state: str
) -> None:
    file.write_text(f"[desk]\nport = 0\n{desk}\n")
    _, found = examined(deskbell, file)
    assert found["microphone"]["state"] == state
    assert state == "ok" or "tls_certificate" in found["microphone"]["remedy"]


def test_voice_that_only_this_machine_hears_is_told(deskbell: CommandLine, file: Path) -> None:
    file.write_text('[desk]\npublic_url = "https://desk.example.com"\n')
    _, found = examined(deskbell, file)
    assert "its voice is at 127.0.0.1 only" in found["PBX main sound"]["message"]
    assert "bind_address" in found["PBX main sound"]["remedy"]
    file.write_text(file.read_text() + '[pbx]\nbind_address = "192.0.2.7"\n')
    _, found = examined(deskbell, file)
    assert "PBX main sound" not in found


def test_a_missing_script_of_the_phone_is_told(
    deskbell: CommandLine, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, found = examined(deskbell, file)
    assert found["phone in the page"]["state"] == "ok"
    monkeypatch.setattr("deskbell.doctor_phones.SCRIPT", tmp_path / "jssip.js")
    code, found = examined(deskbell, file)
    assert code == 1
    assert "no page can telephone" in found["phone in the page"]["message"]


def test_recordings_and_accounts_of_an_external_pbx(
    deskbell: CommandLine, file: Path, tmp_path: Path
) -> None:
    external = '[pbx]\nmode = "external"\nami_port = 1\nami_user = "deskbell"\nami_secret = "x"\n'
    file.write_text(external)
    _, found = examined(deskbell, file)
    assert "recordings_folder is not set" in found["PBX main recordings"]["message"]
    assert "PBX main ARI" not in found
    assert "ari_url" in found["PBX main WebSocket phones"]["remedy"]
    file.write_text(
        f'{external}recordings_folder = "{tmp_path / "away"}"\n'
        'ari_url = "http://127.0.0.1:1"\nari_user = "deskbell"\nari_secret = "y"\n'
    )
    code, found = examined(deskbell, file)
    assert code == 1
    assert "away cannot be read" in found["PBX main recordings"]["message"]
    assert "does not answer" in found["PBX main ARI"]["message"]


@pytest.mark.parametrize(("status", "said"), [(401, "refuses user deskbell"), (404, "answers 404")])
def test_accounts_that_cannot_be_given(
    deskbell: CommandLine, file: Path, status: int, said: str
) -> None:
    with answering(status) as port:
        file.write_text(
            '[pbx]\nmode = "external"\nami_port = 1\nami_user = "deskbell"\nami_secret = "x"\n'
            f'ari_url = "http://127.0.0.1:{port}"\nari_user = "deskbell"\nari_secret = "secret-y"\n'
        )
        _, found = examined(deskbell, file)
    assert found["PBX main ARI"]["state"] == "fail"
    assert said in found["PBX main ARI"]["message"]
    assert "secret-y" not in deskbell.output


def test_text_is_for_people(deskbell: CommandLine, file: Path) -> None:
    assert deskbell("doctor", "--config", file) == 1
    assert "✗ database: " in deskbell.output
    assert "    → run: deskbell migrate" in deskbell.output
    assert "checks: 1 failed, 4 warnings." in deskbell.output


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
    with answering(200) as port:
        file.write_text(f"[desk]\nport = {port}\n")
        _, found = examined(deskbell, file)
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
