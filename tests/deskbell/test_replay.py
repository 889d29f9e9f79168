"""`deskbell replay`: recordings in, signals out, and what it says of recordings it can't use."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deskbell.failure import CommandFailed
from deskbell.replay import pbx_names, replay

pytestmark = pytest.mark.unit

CALL = [
    {
        "Event": "Newchannel",
        "Timestamp": "1700000000.250000",
        "Channel": "PJSIP/trunk-00000001",
        "ChannelState": "4",
        "ChannelStateDesc": "Ring",
        "CallerIDNum": "+8613800138000",
        "CallerIDName": "王\x1b[2J",
        "ConnectedLineNum": "<unknown>",
        "Context": "from-trunk",
        "Exten": "600",
        "Priority": "1",
        "Uniqueid": "1700000000.1",
        "Linkedid": "1700000000.1",
    },
    {
        "Event": "Hangup",
        "Timestamp": "1700000003.500000",
        "Channel": "PJSIP/trunk-00000001",
        "ChannelState": "4",
        "ChannelStateDesc": "Ring",
        "CallerIDNum": "+8613800138000",
        "Context": "from-trunk",
        "Exten": "600",
        "Uniqueid": "1700000000.1",
        "Linkedid": "1700000000.1",
        "Cause": "16",
        "Cause-txt": "Normal Clearing",
    },
]


def recorded(file: Path, messages: list[dict[str, str]] = CALL) -> Path:
    blocks = ["Asterisk Call Manager/9.0.0\r\n"]
    blocks += ["".join(f"{k}: {v}\r\n" for k, v in m.items()) + "\r\n" for m in messages]
    file.write_bytes("".join(blocks).encode())
    return file


def replayed(*files: Path) -> tuple[list[dict[str, object]], str]:
    output, notes = io.StringIO(), io.StringIO()
    replay(files, as_json=True, output=output, notes=notes)
    return [json.loads(line) for line in output.getvalue().splitlines()], notes.getvalue()


def test_each_signal_is_one_object_a_line_and_the_summary_is_last(tmp_path: Path) -> None:
    signals, notes = replayed(recorded(tmp_path / "north.ami"))
    assert [signal["event"] for signal in signals] == ["CallStarted", "CallEnded", "CallSummary"]
    assert {signal["pbx"] for signal in signals} == {"north"}
    assert {signal["call"] for signal in signals} == {"1700000000.1"}
    assert signals[0]["at"] == 1700000000.25
    assert signals[0]["caller"] == "+8613800138000"
    assert notes == ""


def test_several_files_are_several_pbxs(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    files = [recorded(tmp_path / name) for name in ("north.ami", "south.ami", "b/north.ami")]
    signals, _ = replayed(*files)
    assert [s["pbx"] for s in signals if s["event"] == "CallSummary"] == [
        "north",
        "south",
        "north-3",
    ]
    assert pbx_names([Path("-"), Path("x.ami")]) == ["stdin", "x"]


def test_a_stream_that_stops_within_a_message_is_replayed_up_to_there(tmp_path: Path) -> None:
    file = recorded(tmp_path / "cut.ami")
    file.write_bytes(file.read_bytes()[:-30])
    signals, notes = replayed(file)
    assert [signal["event"] for signal in signals] == ["CallStarted", "CallEnded", "CallSummary"]
    assert notes == f"{file}: stops within a message; what came before it was replayed\n"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\r\n" + bytes(100), b"hello\r\n\r\n"])
def test_a_file_without_messages_is_an_error(tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "x.ami").write_bytes(content)
    with pytest.raises(CommandFailed, match="no AMI message in it"):
        replayed(file)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"missing\.ami: No such file"):
        replayed(tmp_path / "missing.ami")
    with pytest.raises(CommandFailed, match="directory"):
        replayed(tmp_path)


def test_the_table_is_for_people_and_shows_no_control_characters(tmp_path: Path) -> None:
    output = io.StringIO()
    replay([recorded(tmp_path / "a.ami")], as_json=False, output=output, notes=io.StringIO())
    assert "CallSummary" in output.getvalue()
    assert "22:13:20.250" in output.getvalue()
    assert "王" in output.getvalue()
    assert "\x1b" not in output.getvalue()


def deskbell(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "deskbell", *map(str, words)],
        input=stdin,
        capture_output=True,
        check=False,
    )


def test_the_command_reads_standard_input_and_fails_in_one_line(tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.ami")
    done = deskbell("replay", "-", "--json", stdin=file.read_bytes())
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[0])["pbx"] == "stdin"
    failed = deskbell("replay", file, tmp_path / "missing.ami", "--json")
    assert failed.returncode == 1
    assert len(failed.stdout.splitlines()) == 3
    assert failed.stderr.decode().splitlines() == [
        f"deskbell: {tmp_path}/missing.ami: No such file or directory"
    ]


def test_a_reader_that_stops_early_gets_no_traceback(tmp_path: Path) -> None:
    many = [{**m, "Uniqueid": str(n), "Linkedid": str(n)} for n in range(2_000) for m in CALL]
    file = recorded(tmp_path / "many.ami", many)
    with subprocess.Popen(
        [sys.executable, "-m", "deskbell", "replay", str(file), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
