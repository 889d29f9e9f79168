"""Where packages come from is read from the machine; what is unpacked runs from its folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cti.pbx import debian_packages
from cti.pbx.debian_packages import UnpackFailed, command_of, ensure, machine_sources, unpack

pytestmark = pytest.mark.asterisk

DEB822 = """\
# A comment
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://third.invalid/debian
Suites: bookworm
Components: stable

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.invalid/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb http://commented.invalid/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://one.invalid/debian bookworm main contrib # why
deb http://other.invalid/debian nodistro main
deb-src http://one.invalid/debian bookworm main
"""


def test_sources_are_read_in_both_of_apts_ways(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    lines = [line for source in machine_sources(tmp_path, "bookworm") for line in source.lines()]
    key = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
    assert lines == [
        "deb [arch=amd64 signed-by=/k.gpg] http://one.invalid/debian bookworm main contrib",
        f"deb [{key}] http://mirror.invalid/debian bookworm main contrib",
        f"deb [{key}] http://mirror.invalid/debian bookworm-updates main contrib",
    ]


def test_a_package_is_unpacked_without_root_and_runs_from_its_folder(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "with a space" / "hello"
    ensure(["hello"], folder, said.append)
    command = command_of(folder, "usr/bin/hello")
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Hello" in output
    assert [entry.name for entry in folder.parent.iterdir() if "partial" in entry.name] == []
    said.clear()
    ensure(["hello"], folder, said.append)
    assert said == []


def test_a_package_that_does_not_exist_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    with pytest.raises(UnpackFailed, match="no-such-package-of-deskbell"):
        unpack(["no-such-package-of-deskbell"], "", folder, lambda _: None)
    assert [entry.name for entry in tmp_path.iterdir()] == [".nothing.lock"]


def test_a_machine_without_apt_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnpackFailed, match="install hello with this system's own"):
        unpack(["hello"], "", tmp_path / "hello", lambda _: None)
    assert debian_packages.APT_FOLDER.name == "apt"
