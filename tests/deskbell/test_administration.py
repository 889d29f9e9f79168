"""migrate, agent, import-customers and asterisk-conf on a real SQLite file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crm_store.database import Database
from crm_store.staff import queues
from crm_store.staff.queues import QueueRecord
from deskbell.event_loop import run
from tests.deskbell.command import CommandLine

pytestmark = pytest.mark.db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "deskbell.toml"
    found.write_text('[store]\nurl = "sqlite:///data/desk.db"\n')
    return found


@pytest.fixture
def migrated(file: Path, deskbell: CommandLine) -> Path:
    assert deskbell("migrate", "-c", file) == 0

    async def add_queue() -> None:
        database = Database(f"sqlite:///{file.parent}/data/desk.db")
        async with database.transaction() as transaction:
            await queues.save(transaction, QueueRecord(name="sales", number="600", titles={}))
        await database.close()

    run(add_queue())
    return file


def test_migrate_makes_the_database_and_may_be_repeated(file: Path, deskbell: CommandLine) -> None:
    assert deskbell("migrate", "-c", file) == 0
    assert deskbell.output.startswith("The database was brought from nothing to schema")
    assert (file.parent / "data/desk.db").exists()
    assert deskbell("migrate", "-c", file) == 0
    assert "already" in deskbell.output


def test_other_commands_ask_for_migrate_first(file: Path, deskbell: CommandLine) -> None:
    for words in (["agent", "list"], ["agent", "add", "lin"], ["asterisk-conf", file.parent / "x"]):
        assert deskbell(*words, "-c", file) == 1
        assert deskbell.errors == (
            "deskbell: the database has no tables yet; run: deskbell migrate\n"
        )


def test_agents_are_added_changed_and_listed(migrated: Path, deskbell: CommandLine) -> None:
    words = ["agent", "add", "lin", "--name", "林晓", "--extension", "1001", "--queue", "sales"]
    assert deskbell(*words, "-c", migrated) == 0
    password = deskbell.output.strip()
    assert len(password) >= 10
    assert deskbell("agent", "list", "--json", "-c", migrated) == 0
    assert json.loads(deskbell.output) == {
        "login": "lin",
        "name": "林晓",
        "phone": "browser",
        "extension": "1001",
        "role": "agent",
        "language": "en",
        "active": True,
        "queues": ["sales"],
    }
    assert deskbell("agent", "list", "-c", migrated) == 0
    assert "林晓" in deskbell.output
    assert deskbell("agent", "password", "lin", "-c", migrated) == 0
    assert deskbell.output.strip() != password


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["agent", "add", "bob", "--queue", "sles"], 1, "there is no queue sles; there are: sales"),
        (["agent", "add", "bob", "--extension", "1001"], 1, "extension 1001 belongs to another"),
        (["agent", "add", "bob", "--password", "short"], 2, "a password has 8 to 1024"),
        (["agent", "password", "nobody"], 1, "there is no agent 'nobody'"),
        (["import-customers", "/nonexistent.csv"], 1, "/nonexistent.csv: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    migrated: Path, deskbell: CommandLine, words: list[str], code: int, said: str
) -> None:
    assert deskbell("agent", "add", "lin", "--extension", "1001", "-c", migrated) == 0
    assert deskbell(*words, "-c", migrated) == code
    assert deskbell.errors.startswith(f"deskbell: {said}")
    assert len(deskbell.errors.splitlines()) == 1


def test_customers_are_imported_and_rejects_kept(
    migrated: Path, deskbell: CommandLine, tmp_path: Path
) -> None:
    source = tmp_path / "customers.csv"
    source.write_bytes("姓名,手机\n王芳,13800138000\n,13800138001\n".encode("gb18030"))
    assert deskbell("import-customers", source, "-c", migrated) == 0
    assert "1 customers created, 0 completed, 0 known already, 1 rejected" in deskbell.output
    assert "line 3: rejected" in deskbell.output
    rejects = tmp_path / "customers.rejects.csv"
    assert rejects.read_text("gb18030") == "姓名,手机\n,13800138001\n"
    assert deskbell("import-customers", source, "--json", "-c", migrated) == 0
    assert json.loads(deskbell.output)["unchanged"] == 1


def test_an_import_without_rejects_leaves_no_file(
    migrated: Path, deskbell: CommandLine, tmp_path: Path
) -> None:
    source = tmp_path / "customers.csv"
    source.write_text("Kundenname;phone\nAnna;+49 30 901820\n")
    words = ["--column", "Kundenname=name", "--delimiter", ";"]
    assert deskbell("import-customers", source, *words, "-c", migrated) == 0
    assert "1 customers created" in deskbell.output
    assert not (tmp_path / "customers.rejects.csv").exists()


def test_the_files_of_a_system_asterisk_are_written(
    migrated: Path, deskbell: CommandLine, tmp_path: Path
) -> None:
    for words in (
        ["lin", "--extension", "1001", "--phone", "desk"],
        ["sara", "--extension", "1002"],
    ):
        assert deskbell("agent", "add", *words, "-c", migrated) == 0
    assert deskbell("asterisk-conf", tmp_path / "conf", "-c", migrated) == 0
    written = [Path(line) for line in deskbell.output.splitlines()]
    assert {file.name for file in written} >= {"extensions.conf", "pjsip.conf", "queues.conf"}
    assert "[sales]" in (tmp_path / "conf/queues.conf").read_text()
    accounts = (tmp_path / "conf/pjsip.conf").read_text()
    assert "[1001]" in accounts
    assert "[1002]" not in accounts, "a browser's phone gets its account from ARI"
    assert "PJSIP/1002" in (tmp_path / "conf/extensions.conf").read_text()
    assert "type = user" in (tmp_path / "conf/ari.conf").read_text()
    assert (tmp_path / "conf").stat().st_mode & 0o077 == 0


def test_a_database_that_is_away_is_named_without_its_password(
    deskbell: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESKBELL_STORE_URL", "postgresql://desk:hidden-word@127.0.0.1:1/desk")
    for words in (["migrate"], ["agent", "list"]):
        assert deskbell(*words) == 1
        assert "postgresql://desk:********@127.0.0.1:1/desk can't be used" in deskbell.errors
        assert "hidden-word" not in deskbell.errors
