"""The doctor's findings about speech."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from deskbell import doctor_speech
from deskbell.finding import State

pytestmark = pytest.mark.speech


def fake(folder: Path, version: str, voices: str) -> None:
    program = folder / "espeak-ng"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"if '--version' in sys.argv: print({version!r})\n"
        f"elif '--voices' in sys.argv: print('Pty\\n' + {voices!r})\n"
        "else: sys.stdout.buffer.write(b'RIFF' + bytes(18) + b'\\1\\0' + b'\\x40\\x1f\\0\\0' +"
        " bytes(6) + b'\\x10\\0' + b'data' + bytes(1000))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


async def test_the_real_one_speaks_every_language() -> None:
    found = [finding async for finding in doctor_speech.examine()]
    assert [(one.topic, one.state, one.remedy) for one in found] == [("speech", State.OK, "")]
    assert "en, zh, es, fa" in found[0].message


@pytest.mark.parametrize(
    ("version", "voices", "state", "said"),
    [
        ("no speech at all", "", State.FAIL, "is no espeak-ng"),
        ("eSpeak NG text-to-speech: 1.52", " 5 en-us x\n 5 es x", State.FAIL, "zh, fa"),
        (
            "eSpeak NG text-to-speech: 1.51",
            " 5 en-us x\n 5 es x\n 5 fa x\n 5 cmn x",
            State.WARN,
            "English numbers",
        ),
        (
            "eSpeak NG text-to-speech: 1.52",
            " 5 en-us x\n 5 es x\n 5 fa x\n 5 cmn x",
            State.OK,
            "espeak-ng 1.52",
        ),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    version: str,
    voices: str,
    state: State,
    said: str,
) -> None:
    fake(tmp_path, version, voices)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = [finding async for finding in doctor_speech.examine()]
    assert found.state is state
    assert said in found.message
    assert bool(found.remedy) == (state is not State.OK)


async def test_none_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (found,) = [finding async for finding in doctor_speech.examine()]
    assert found.state is State.WARN
    assert "apt-get install" in found.remedy
