"""Configuration: TOML file and environment in, one checked `Settings` out.

Owns where values come from and how what is wrong is told: all of it at once, each with file and
line or with the variable's name. What may be set stands in deskbell/settings.py. Refuses to start
anything: the rooms below get plain arguments. Secrets are printed masked only.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr, ValidationError

from deskbell.setting_types import Section
from deskbell.settings import SECTIONS, Settings

__all__ = ["ConfigError", "Problem", "Settings", "effective", "load_settings", "reference"]

ENVIRONMENT_PREFIX = "DESKBELL_"
# Variables of that prefix that commands read themselves and that are no settings.
COMMAND_VARIABLES = frozenset({"DESKBELL_CONFIG", "DESKBELL_PASSWORD"})
DEFAULT_FILE = Path("deskbell.toml")

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: `where` is "file:line" or an environment variable."""

    where: str
    setting: str
    message: str

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.setting}: {self.message}"
            if self.setting
            else (f"{self.where}: {self.message}")
        )


class ConfigError(Exception):
    """The configuration can't be used. `problems` holds everything that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings from `file` (else deskbell.toml here, if there is one), overlaid by `environment`.

    Raises ConfigError with all problems at once.
    """
    environment = os.environ if environment is None else environment
    file = file or (Path(found) if (found := environment.get("DESKBELL_CONFIG")) else None)
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    values: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    if file is not None:
        values, lines = _read_file(file)
        origins = {path: f"{file}:{line}" for path, line in lines.items()}
    several = isinstance(values.get("pbx"), list)
    if isinstance(values.get("pbx"), dict):
        values["pbx"] = [values["pbx"]]
        origins = {
            ("pbx", 0, *path[1:]) if path[:1] == ("pbx",) else path: where
            for path, where in origins.items()
        }
    # Named even when empty, so that the defaults below them count from the file's folder too.
    values = {**{section: {} for section in SECTIONS}, "pbx": [{}], **values}
    problems = list(_overlay(values, origins, environment))
    context = {"folder": (file.resolve().parent if file is not None else Path.cwd())}
    try:
        settings = Settings.model_validate(values, context=context)
    except ValidationError as error:
        nowhere = str(file) if file is not None else "built-in defaults"
        problems += _explain(error, origins, nowhere, several=several)
        raise ConfigError(sorted(problems, key=_by_line)) from None
    if problems:
        raise ConfigError(problems)
    return settings


def _read_file(file: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text), key_lines(text)
    except OSError as error:
        raise ConfigError([Problem(str(file), "", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        problem = Problem(str(file), "", f"not UTF-8 at byte {error.start}")
        raise ConfigError([problem]) from None
    except tomllib.TOMLDecodeError as error:
        at_line = re.search(r"at line (\d+)", str(error))
        where = f"{file}:{at_line[1]}" if at_line else str(file)
        raise ConfigError([Problem(where, "", f"not TOML: {error}")]) from None


_TABLE = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=""")
_LONG_STRING = re.compile(r'"""|\'\'\'')


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table and key of a TOML text (tomllib gives no positions)."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    entries: dict[str, int] = {}
    inside_string = ""
    for number, line in enumerate(text.splitlines(), start=1):
        quotes = _LONG_STRING.findall(line)
        if inside_string:
            if quotes.count(inside_string) % 2:
                inside_string = ""
            continue
        if found := _TABLE.match(line):
            names = _key_parts(found[2])
            if found[1] == "[[":
                entries[found[2]] = entries.get(found[2], -1) + 1
                lines.setdefault(names, number)
                table = (*names, entries[found[2]])
            else:
                table = names
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            lines.setdefault((*table, *_key_parts(found[1])), number)
        if quotes and quotes.count(quotes[0]) % 2:
            inside_string = quotes[0]
    return lines


def _key_parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def variable_names(entries: int = 1, pbx_names: tuple[str, ...] = ()) -> dict[str, KeyPath]:
    """Every environment variable that sets something, and the place it sets.

    With one PBX: DESKBELL_PBX_AMI_SECRET; with several: DESKBELL_PBX_<NAME>_AMI_SECRET.
    """
    names: dict[str, KeyPath] = {}
    for section, model in SECTIONS.items():
        for setting in model.model_fields:
            if section != "pbx":
                names[f"{ENVIRONMENT_PREFIX}{section}_{setting}".upper()] = (section, setting)
            elif entries == 1:
                names[f"{ENVIRONMENT_PREFIX}PBX_{setting}".upper()] = ("pbx", 0, setting)
            else:
                for index, name in enumerate(pbx_names):
                    variable = f"{ENVIRONMENT_PREFIX}PBX_{name}_{setting}".upper()
                    names[variable] = ("pbx", index, setting)
    return names


def _overlay(
    values: dict[str, Any], origins: dict[KeyPath, str], environment: Mapping[str, str]
) -> Iterator[Problem]:
    """Put the environment's settings into `values`; yield the variables that mean nothing."""
    entries = values["pbx"] if isinstance(values["pbx"], list) else []
    pbx_names = tuple(
        str(entry.get("name", "main")) for entry in entries if isinstance(entry, dict)
    )
    known = variable_names(len(entries), pbx_names)
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in COMMAND_VARIABLES:
            continue
        path = known.get(variable)
        if path is None:
            yield Problem(variable, "", f"no such setting{_did_you_mean(variable, known)}")
            continue
        section = values[str(path[0])]
        target = section[path[1]] if path[0] == "pbx" else section
        if isinstance(target, dict):
            target[path[-1]] = _from_text(SECTIONS[str(path[0])], str(path[-1]), text)
            origins[path] = variable


def _from_text(model: type[Section], setting: str, text: str) -> Any:
    """A list is written with commas; everything else pydantic reads from text."""
    if get_origin(model.model_fields[setting].annotation) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _did_you_mean(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _explain(
    error: ValidationError, origins: Mapping[KeyPath, str], nowhere: str, *, several: bool
) -> Iterator[Problem]:
    for detail in error.errors(include_url=False, include_input=False):
        path: KeyPath = detail["loc"]
        where = next(
            (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins),
            nowhere,
        )
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            known: Mapping[str, Any] = (
                SECTIONS if len(path) == 1 else SECTIONS[str(path[0])].model_fields
            )
            kind = "section" if len(path) == 1 else "setting"
            message = f"no such {kind}{_did_you_mean(str(path[-1]), known)}"
        yield Problem(where, setting_name(path, several=several), message)


def _by_line(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (problem.where, 0)


def setting_name(path: KeyPath, *, several: bool = False) -> str:
    """A place as people write it: `[desk] port`; with several PBXs `[[pbx]] 2 ami_user`."""
    if not path or path[0] != "pbx" or not several:
        names = [str(part) for part in path if not isinstance(part, int)]
        return f"[{names[0]}] {'.'.join(names[1:])}".strip() if names else ""
    which = f"{path[1] + 1} " if len(path) > 1 and isinstance(path[1], int) else ""
    return f"[[pbx]] {which}{'.'.join(str(part) for part in path[2:])}".strip()


def masked_url(url: str) -> str:
    """A URL with its password replaced by asterisks."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:********@{where}"))


def effective(settings: Settings) -> str:
    """The settings in force as TOML, secrets masked."""
    several = len(settings.pbx) > 1
    blocks = []
    for section in SECTIONS:
        value = getattr(settings, section)
        for entry in value if isinstance(value, tuple) else (value,):
            heading = f"[[{section}]]" if section == "pbx" and several else f"[{section}]"
            lines = [
                f"{setting} = {shown}"
                for setting in type(entry).model_fields
                if (shown := _as_toml(getattr(entry, setting))) is not None
            ]
            blocks.append("\n".join([heading, *lines]))
    return "\n\n".join(blocks) + "\n"


def _as_toml(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return f'"{masked_url(secret) if "://" in secret else "********" if secret else ""}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def reference() -> str:
    """The settings' reference in Markdown: docs/configuration.md holds exactly this."""
    parts = []
    for section, model in SECTIONS.items():
        rows = [
            f"| `{setting}` | {_default(model, setting)} | {field.description} |"
            for setting, field in model.model_fields.items()
        ]
        parts.append(
            "\n".join(
                [
                    f"### [{section}]",
                    "",
                    (model.__doc__ or "").strip(),
                    "",
                    "| setting | default | meaning |",
                    "|---|---|---|",
                    *rows,
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def _default(model: type[Section], setting: str) -> str:
    field = model.model_fields[setting]
    shown = _as_toml(field.default)
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    more = f" of {', '.join(f'`{choice}`' for choice in choices)}" if choices else ""
    return f"`{shown}`{more}" if shown is not None else "unset"
