"""Settings from a file and the environment, and how all that is wrong is told."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell.config import (
    ConfigError,
    effective,
    key_lines,
    load_settings,
    reference,
    variable_names,
)
from deskbell.settings import SECTIONS

pytestmark = pytest.mark.unit

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"

WEB_ADDRESS = "https://desk.example.com"
ADDRESSES = "127.0.0.1 or ::1"


def written(folder: Path, text: str) -> Path:
    file = folder / "deskbell.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(file: Path | None, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_has_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {})
    assert (settings.desk.host, settings.desk.port) == ("127.0.0.1", 8080)
    assert settings.store.url.get_secret_value() == f"sqlite:///{tmp_path}/var/deskbell.db"
    assert [pbx.mode for pbx in settings.pbx] == ["embedded"]


def test_deskbell_toml_of_the_current_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "[desk]\nport = 9001\n")
    assert load_settings(None, {}).desk.port == 9001
    other = tmp_path / "other.toml"
    other.write_text("[desk]\nport = 9002\n")
    assert load_settings(None, {"DESKBELL_CONFIG": str(other)}).desk.port == 9002


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[desk]\nport = 9000\nhost = "0.0.0.0"\n[pbx]\nsip_port = 5060\n')
    settings = load_settings(
        file,
        {
            "DESKBELL_DESK_PORT": "9500",
            "DESKBELL_PBX_TRUNK_ADDRESS": "127.0.0.9",
            "DESKBELL_DESK_BEHIND_PROXY": "true",
            "UNRELATED": "x",
        },
    )
    assert (settings.desk.port, settings.desk.host) == (9500, "0.0.0.0")  # noqa: S104
    assert settings.desk.behind_proxy is True
    assert settings.pbx[0].trunk_address == "127.0.0.9"
    assert settings.pbx[0].sip_port == 5060


def test_relative_paths_count_from_the_file_even_the_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, '[store]\nurl = "sqlite:///data/mall.db"\n')
    settings = load_settings(file, {})
    assert settings.store.url.get_secret_value() == f"sqlite:///{tmp_path}/data/mall.db"
    assert settings.pbx[0].folder == tmp_path / "var/pbx"


def test_everything_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
[desk]
prot = 3
port = 99999
public_url = "example"

[stor]
url = "x"

[pbx]
mode = "external"
bind_address = "localhost"
""",
    )
    told = problems(
        file,
        DESKBELL_LOG_LEVEL="LOUD",
        DESKBELL_LOG_FORMT="json",
        DESKBELL_STORE_URL="mysql://root:topsecret@host/db",
    )
    expected = [
        f"{file}:2: [desk] prot: no such setting; did you mean port?",
        f"{file}:3: [desk] port: Input should be less than or equal to 65535",
        f"{file}:4: [desk] public_url: 'example' is not a web address, such as {WEB_ADDRESS}",
        f"{file}:6: [stor]: no such section; did you mean store?",
        f'{file}:9: [pbx] ami_port: needed with mode = "external"',
        f'{file}:9: [pbx] ami_user: needed with mode = "external"',
        f'{file}:9: [pbx] ami_secret: needed with mode = "external"',
        f"{file}:11: [pbx] bind_address: 'localhost' is not an IP address, such as {ADDRESSES}",
        "DESKBELL_LOG_FORMT: no such setting; did you mean DESKBELL_LOG_FORMAT?",
        "DESKBELL_LOG_LEVEL: [log] level: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        "DESKBELL_STORE_URL: [store] url: a database URL begins with sqlite:/// or postgresql://",
    ]
    assert sorted(told) == sorted(expected)
    assert "topsecret" not in "\n".join(told)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[desk]\nport = = 3\n", ":2", "not TOML"),
        ("[desk]\nport = 1\nport = 2\n", "", "not TOML"),
        ("desk = 3\n", ":1", "[desk]"),
        ('[desk]\npbx = "x"\n', ":2", "no such setting"),
        ("pbx = 3\n", ":1", "[pbx]"),
        ("pbx = []\n", ":1", "at least one PBX"),
        ('[[pbx]]\n[[pbx]]\nname = "b"\nmode = "x"\n', ":4", "[[pbx]] 2 mode"),
        ('[[pbx]]\nname = "a"\n[[pbx]]\nname = "a"\n', ":1", "name of its own"),
        ('[desk]\ntls_key = "/etc/hostname"\n', ":2", "together"),
        ('[store]\nurl = "postgresql://host"\n', ":2", "/DATABASE"),
        ("[pbx]\nrtp_first = 65000\n", ":1", "65535"),
        ('[pbx]\nmode = "external"\nami_secret = "a\\r\\nb"\n', ":3", "one line"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, text: str, where: str, what: str) -> None:
    file = written(tmp_path, text)
    assert any(line.startswith(f"{file}{where}") and what in line for line in problems(file)), (
        problems(file)
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "No such file" in problems(tmp_path / "missing.toml")[0]
    assert "directory" in problems(tmp_path)[0]
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'[desk]\nhost = "\xe9"\n')
    assert "not UTF-8" in problems(latin)[0]


def test_several_pbxs_have_variables_by_name(tmp_path: Path) -> None:
    file = written(tmp_path, '[[pbx]]\nname = "north"\n[[pbx]]\nname = "south"\n')
    settings = load_settings(file, {"DESKBELL_PBX_SOUTH_SIP_PORT": "5070"})
    assert [pbx.sip_port for pbx in settings.pbx] == [0, 5070]
    assert "DESKBELL_PBX_SIP_PORT: no such setting" in problems(file, DESKBELL_PBX_SIP_PORT="1")[0]


def test_secrets_are_masked(tmp_path: Path) -> None:
    settings = load_settings(
        written(tmp_path, '[pbx]\nami_secret = "s3cret-ami"\n'),
        {"DESKBELL_STORE_URL": "postgresql://desk:s3cret-db@db.example.com:5433/desk"},
    )
    for text in (effective(settings), repr(settings), str(settings), settings.model_dump_json()):
        assert "s3cret" not in text
    assert 'url = "postgresql://desk:********@db.example.com:5433/desk"' in effective(settings)


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[desk]\npublic_url = "https://a.example"\n[[pbx]]\nname="a"\n[[pbx]]\nname="b"\n'
    )
    settings = load_settings(file, {})
    (again := tmp_path / "again.toml").write_text(effective(settings))
    assert load_settings(again, {}) == settings


def test_every_setting_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert reference() in text, "docs/configuration.md must end in `deskbell config --reference`"
    for section, model in SECTIONS.items():
        for setting, field in model.model_fields.items():
            assert field.description, f"[{section}] {setting} has no description"


def test_the_documented_examples_are_valid(tmp_path: Path) -> None:
    blocks = DOCUMENT.read_text(encoding="utf-8").split("```toml\n")[1:]
    assert len(blocks) == 2
    environments = [
        {"DESKBELL_PBX_AMI_SECRET": "x"},
        {"DESKBELL_PBX_NORTH_AMI_SECRET": "x", "DESKBELL_PBX_SOUTH_AMI_SECRET": "y"},
    ]
    for block, environment in zip(blocks, environments, strict=True):
        load_settings(written(tmp_path, block.partition("```")[0]), environment)


def test_no_variable_stands_for_two_settings() -> None:
    names = variable_names()
    assert len(set(names.values())) == len(names)
    assert len(names) == sum(len(model.model_fields) for model in SECTIONS.values())


NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
VALUES = st.sampled_from(['"x"', "1", "[1, 2]", '"a = 3"', "'''\nfoo = 1\n[bar]\n'''", "true"])


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4),
    st.lists(st.sampled_from(["", "# a = 1", "  # [x]"]), max_size=3),
)
def test_the_line_found_is_the_line_of_the_key(
    tables: dict[str, dict[str, str]], noise: list[str]
) -> None:
    lines: list[str] = list(noise)
    expected: dict[tuple[str, ...], int] = {}
    for table, keys in tables.items():
        lines.append(f"[ {table} ]")
        expected[(table,)] = len(lines)
        for key, value in keys.items():
            lines += noise
            lines.append(f"  {key} = {value}")
            expected[(table, key)] = len(lines)
            lines = "\n".join(lines).split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)
    assert key_lines(text) == expected
