"""The demo from start to stop on a real Asterisk, and the commands that a newcomer types next."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import wave
from pathlib import Path

import psutil
import pytest

from deskbell import running_demo
from deskbell.demo import CALLER, MAILBOX
from deskbell.demo_recording import FILE
from deskbell.event_loop import run
from deskbell.running_demo import Demo
from tests.deskbell.command import CommandLine, lines_until, started
from tests.deskbell.cuttable_way import cut, cuttable_way
from tests.deskbell.desk_http import contacts_of, serve_queues
from tests.deskbell.shop_visitor import code_on_the_telephone, shop_visitor

pytestmark = pytest.mark.asterisk

UP = "Deskbell runs: "


@pytest.fixture
def demo(demo_folder: Path) -> Demo:
    return running_demo.running(demo_folder)


def test_passwords_stand_in_a_file_of_mode_0600_and_nowhere_in_the_log(
    demo_folder: Path, demo: Demo
) -> None:
    assert (demo_folder / "demo.json").stat().st_mode & 0o777 == 0o600
    assert demo_folder.stat().st_mode & 0o077 == 0
    log = (demo_folder / "deskbell.log").read_text()
    for person in demo.people:
        assert len(person.password) >= 10
        assert person.password not in log
        if person.extension:
            assert person.phone_secret not in log


def test_the_doctor_finds_nothing_wrong(demo_folder: Path, deskbell: CommandLine) -> None:
    assert deskbell("doctor", "--folder", demo_folder, "--json") == 0, deskbell.output
    findings = json.loads(deskbell.output)
    assert {finding["state"] for finding in findings} <= {"ok", "warn"}
    topics = {finding["topic"] for finding in findings if finding["state"] == "ok"}
    assert topics >= {
        "configuration",
        "database",
        "service",
        "PBX main AMI",
        "PBX main AMI permissions",
        "PBX main dialplan",
        "PBX main queues",
        "PBX main ARI",
        "PBX main WebSocket phones",
        "PBX main clock",
        "microphone",
        "phone in the page",
    }


def test_there_is_a_recording_to_listen_to(demo_folder: Path) -> None:
    with wave.open(str(demo_folder / "pbx/spool/monitor" / FILE)) as reader:
        seconds = reader.getnframes() / reader.getframerate()
        assert any(reader.readframes(reader.getnframes()))
    with sqlite3.connect(demo_folder / "deskbell.db") as database:
        [(marks, kept)] = database.execute(
            "SELECT marks, unixepoch(ended_at) - unixepoch(started_at) FROM recordings"
            " WHERE file = ?",
            [FILE],
        ).fetchall()
    database.close()
    assert [mark["kind"] for mark in json.loads(marks)] == ["pause", "resume"]
    assert abs(kept - seconds) <= 1


def test_watch_shows_what_is_now(demo_folder: Path, deskbell: CommandLine) -> None:
    assert deskbell("watch", "--folder", demo_folder, "--once", "--json") == 0
    frames = [json.loads(line) for line in deskbell.output.splitlines()]
    snapshots = {frame["topic"]: frame["snapshot"] for frame in frames}
    assert set(snapshots) == {"calls", "queues", "agents"}
    assert {"sales", "service"} <= set(snapshots["queues"])
    assert snapshots["agents"]["lin"]["state"] == "offline"
    assert deskbell("watch", "--folder", demo_folder, "--once") == 0
    assert "connected" in deskbell.output
    assert "sales" in deskbell.output


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


def test_a_wrong_password_is_told_in_a_line(
    demo_folder: Path, deskbell: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = running_demo.running(demo_folder).url
    monkeypatch.setenv("DESKBELL_PASSWORD", "not this one")
    assert deskbell("watch", "--url", url, "--user", "nobody", "--once") == 1
    assert deskbell.errors.startswith(f"deskbell: {url} refused nobody: ")
    assert len(deskbell.errors.splitlines()) == 1


def test_a_call_reaches_the_agent_who_serves_the_queue(demo_folder: Path, demo: Demo) -> None:
    serve_queues(demo, "james", ["sales"])
    with started("phone", "james", "--answer-after", "0.3", "--folder", demo_folder) as phone:
        lines_until(phone, "is registered")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "deskbell", "call", "--from", "+8613800138000"),
                *("--to", "600", "--hold", "2", "--json", "--folder", str(demo_folder)),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout)
        assert told["desk"]["agent"] == "james"
        assert told["desk"]["queue"] == "sales"
        assert told["ended_by"] == "us"
        assert told["packets_heard"] > 0
        said = lines_until(phone, "+8613800138000: over")
        assert any("+8613800138000 is calling" in line for line in said)
        assert any("talking to +8613800138000" in line for line in said)
        phone.send_signal(signal.SIGINT)
        assert phone.wait() == 130


def test_mail_sms_chat_and_call_of_a_customer_are_in_one_story(
    demo_folder: Path, demo: Demo, deskbell: CommandLine
) -> None:
    earlier = {entry["id"] for entry in contacts_of(demo, "emma", CALLER)}
    serve_queues(demo, "emma", ["vip"])
    with started("phone", "emma", "--answer-after", "0.3", "--folder", demo_folder) as phone:
        lines_until(phone, "is registered")
        call = ("call", "--from", CALLER, "--to", "602", "--hold", "2", "--json")
        assert deskbell(*call, "--folder", demo_folder) == 0, deskbell.errors
        assert json.loads(deskbell.output)["desk"]["agent"] == "emma"
        lines_until(phone, f"{CALLER}: over")
    mail = ("mail", "--from", MAILBOX, "--subject", "Coat", "Is it there in blue?")
    assert deskbell(*mail, "--folder", demo_folder) == 0, deskbell.errors
    sms = ("sms", "--from", CALLER, "On my way.")
    assert deskbell(*sms, "--folder", demo_folder) == 0, deskbell.errors

    async def chat() -> None:
        async with shop_visitor(demo) as visitor:
            await visitor.write("Is there a fitting room?")
            assert await visitor.ask("proof", prove={"phone": CALLER}) == "sent"
            code = await code_on_the_telephone(demo, place=0)
            assert await visitor.ask("proof", code=code, of={"phone": CALLER}) == "done"

    run(chat())
    new = [one for one in contacts_of(demo, "emma", CALLER) if one["id"] not in earlier]
    [call_entry] = [one for one in new if one["call"]]
    assert (call_entry["agent"], call_entry["call"]["outcome"]) == ("emma", "answered")
    written = [message for one in new for message in one["messages"]]
    assert {
        (message["channel"], message["excerpt"])
        for message in written
        if message["direction"] == "inbound"
    } == {
        ("mail", "Is it there in blue?"),
        ("sms", "On my way."),
        ("chat", "Is there a fitting room?"),
    }


def test_keys_are_heard_in_the_menu(demo_folder: Path, deskbell: CommandLine) -> None:
    words: list[str | Path] = [
        "--to",
        "610",
        "--from",
        "+4915112345678",
        "--keys",
        "0",
        "--hold",
        "20",
        "--json",
        "--folder",
        demo_folder,
    ]
    assert deskbell("call", *words) == 0, deskbell.errors
    told = json.loads(deskbell.output)
    assert told["menus"][0]["menu"] == "main"
    assert any(step["keyed"] == "0" for step in told["menus"][0]["trail"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--to", "999"], 1, "not answered: 404 Not Found"),
        (["--to", "6;00"], 2, "'6;00' cannot be dialled"),
        (["--from", "a b"], 2, "'a b' cannot be dialled"),
    ],
)
def test_a_call_that_cannot_be_is_told_in_a_line(
    demo_folder: Path, deskbell: CommandLine, words: list[str], code: int, said: str
) -> None:
    assert deskbell("call", *words, "--folder", demo_folder) == code
    assert deskbell.errors == f"deskbell: {said}\n"


def test_an_unknown_agent_has_no_phone(demo_folder: Path, deskbell: CommandLine) -> None:
    assert deskbell("phone", "nobody", "--folder", demo_folder) == 1
    assert "the demo has no 'nobody'; there are" in deskbell.errors


def test_a_second_demo_in_the_same_folder_is_refused(
    demo_folder: Path, demo: Demo, deskbell: CommandLine
) -> None:
    assert deskbell("demo", "--folder", demo_folder) == 1
    assert f"is running already at {demo.url} (process {demo.pid})" in deskbell.errors


def test_ami_that_refuses_or_is_not_there_is_explained(
    demo_folder: Path, demo: Demo, deskbell: CommandLine, tmp_path: Path
) -> None:
    manager = (demo_folder / "pbx/etc/manager.conf").read_text()
    port = next(line.split()[-1] for line in manager.splitlines() if line.startswith("port"))
    file = tmp_path / "external.toml"
    file.write_text(
        f'[store]\nurl = "sqlite:///{demo_folder}/deskbell.db"\n[pbx]\nmode = "external"\n'
        f'ami_port = {port}\nami_user = "deskbell"\nami_secret = "wrong-secret"\n'
    )
    assert deskbell("doctor", "--config", file, "--json") == 1
    found = {finding["topic"]: finding for finding in json.loads(deskbell.output)}
    assert "refuses user deskbell" in found["PBX main AMI"]["message"]
    assert "manager.conf" in found["PBX main AMI"]["remedy"]
    assert "wrong-secret" not in deskbell.output
    file.write_text(file.read_text().replace(f"ami_port = {port}", "ami_port = 1"))
    assert deskbell("doctor", "--config", file, "--json") == 1
    found = {finding["topic"]: finding for finding in json.loads(deskbell.output)}
    assert "127.0.0.1:1 can't be reached" in found["PBX main AMI"]["message"]
    assert found["PBX main WebSocket phones"]["state"] == "warn"


def children_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_it_comes_back_with_its_data_and_leaves_nothing_even_when_killed(tmp_path: Path) -> None:
    with started("demo", "--folder", tmp_path, DESKBELL_DESK_PORT="0") as process:
        lines_until(process, UP)
        first = running_demo.running(tmp_path)
        children = children_of(process.pid)
        assert any("asterisk" in " ".join(child.cmdline()) for child in children)
        process.send_signal(signal.SIGTERM)
        assert lines_until(process, "Stopped")
        assert process.wait() == 0
        assert not [child for child in children if child.is_running()]
    assert not running_demo.is_running(tmp_path)
    with started("demo", "--folder", tmp_path, DESKBELL_DESK_PORT="0") as process:
        lines_until(process, UP)
        again = running_demo.running(tmp_path)
        assert again.people == first.people
        assert again.sip_port == first.sip_port
        children = children_of(process.pid)
        process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
    assert not running_demo.is_running(tmp_path)


def test_a_port_in_use_is_told_another_taken_and_ctrl_c_stops_a_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (tmp_path / "deskbell.toml").write_text(
            f'[desk]\nport = {port}\n[store]\nurl = "sqlite:///deskbell.db"\n'
            '[pbx]\nfolder = "pbx"\n'
        )
        with started("demo", "--folder", tmp_path) as process:
            said = "\n".join(lines_until(process, "starting Asterisk"))
            assert f"Port {port} is in use by another program; taking " in said
            children = children_of(process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0
            assert not [child for child in children if child.is_running()]


def test_a_port_that_was_wished_for_is_not_exchanged(
    tmp_path: Path, deskbell: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("DESKBELL_DESK_PORT", str(port))
        assert deskbell("demo", "--folder", tmp_path) == 1
    assert deskbell.errors.startswith(f"deskbell: port {port} is in use by another program; stop")
