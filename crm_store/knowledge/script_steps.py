"""A script's steps: their form, and the way that answers lead through them.

Owns the data that a supervisor writes and an agent follows; it is plain values in and out, without
a store. Refuses to know what may be published (script_problems.py), who runs a script (scripts.py)
and what answers write (script_fills.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

FILLS = (
    "customer.name",
    "customer.language",
    "customer.phone",
    "customer.mail",
    "customer.notes",
    "interaction.summary",
)
"""Where an answer can go: the customer's record, the interaction, or ("") only the answer."""

MOST_STEPS = 100
LONGEST_ANSWER = 2_000

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Texts = Annotated[dict[str, Annotated[str, Meta(max_length=4_000)]], Meta(max_length=20)]
Value = str | int | float | bool
Answers = Mapping[str, Any]


class ChoiceLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be chosen: `value` is kept, `label` is shown."""

    value: Annotated[str, Meta(min_length=1, max_length=100)]
    label: Texts


class Field(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that the agent writes down; `fills` is one of FILLS, or ""."""

    name: Name
    label: Texts
    kind: Literal["text", "choice", "number", "date", "yes_no"]
    required: bool = False
    choices: tuple[ChoiceLine, ...] = ()
    fills: str = ""


class Condition(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"equals": "is", "among": "in"},
):
    """Holds if the answer is this, is among these, or is a number (or a day) above or below it."""

    field: Name
    equals: Value | None = None
    among: tuple[Value, ...] | None = None
    above: float | str | None = None
    below: float | str | None = None


class Branch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    when: Condition
    to: str


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing to say and what to write down meanwhile.

    After it comes the first of `next` whose condition holds, else `otherwise`. An `end` has nothing
    after it; `disposition` is the code that its wrap-up proposes, or "".
    """

    id: Name
    title: Texts
    text: Texts
    fields: Annotated[tuple[Field, ...], Meta(max_length=20)] = ()
    next: Annotated[tuple[Branch, ...], Meta(max_length=20)] = ()
    otherwise: str | None = None
    end: bool = False
    disposition: str = ""


Steps = tuple[Step, ...]


class MalformedSteps(ValueError):
    """The data are not steps at all."""


class WrongAnswer(ValueError):
    """An answer that its field does not take; `kind` is "required" or the field's kind."""

    def __init__(self, field: str, kind: str) -> None:
        super().__init__(f"{field}: {kind}")
        self.field = field
        self.kind = kind


def read(data: object) -> Steps:
    """The steps that plain values hold. Raises MalformedSteps, which says where."""
    try:
        steps = msgspec.convert(data, Steps)
    except msgspec.ValidationError as error:
        raise MalformedSteps(str(error)) from error
    if len(steps) > MOST_STEPS:
        raise MalformedSteps(f"more than {MOST_STEPS} steps")
    return steps


def write(steps: Steps) -> list[dict[str, Any]]:
    """The steps as plain values."""
    plain: list[dict[str, Any]] = msgspec.to_builtins(steps)
    return plain


def find(steps: Steps, step_id: str) -> Step | None:
    return next((step for step in steps if step.id == step_id), None)


# ---- the way through -----------------------------------------------------------------------------


def targets(step: Step) -> list[str]:
    """The ids of all steps that can come after it."""
    rest = [] if step.otherwise is None else [step.otherwise]
    return [branch.to for branch in step.next] + rest


def after(step: Step, answers: Answers) -> str | None:
    """The id of the step that comes next, None after an end."""
    if step.end:
        return None
    chosen = next((branch.to for branch in step.next if _holds(branch.when, answers)), None)
    return chosen if chosen is not None else step.otherwise


def way(steps: Steps, answers: Answers, until: str) -> list[str]:
    """The ids from the first step to `until`, as the answers lead; just `until` if they do not."""
    if not steps:
        return []
    at: str | None = steps[0].id
    passed: list[str] = []
    while at is not None and at not in passed:
        passed.append(at)
        if at == until:
            return passed
        step = find(steps, at)
        at = after(step, answers) if step is not None else None
    return [until]


def checked_answers(step: Step, given: Answers, *, complete: bool) -> dict[str, Any]:
    """The step's answers in their stored form; None for an empty one.

    Raises WrongAnswer for the first that is none, or, if they must be complete, that is missing.
    """
    found: dict[str, Any] = {}
    for field in step.fields:
        value = given.get(field.name)
        if value is None or (isinstance(value, str) and not value.strip()):
            if complete and field.required:
                raise WrongAnswer(field.name, "required")
            found[field.name] = None
        else:
            found[field.name] = checked(field, value)
    return found


def checked(field: Field, value: Any) -> Any:
    """The answer in its stored form. Raises WrongAnswer."""
    match field.kind:
        case "text" if isinstance(value, str) and len(value) <= LONGEST_ANSWER:
            return value.strip()
        case "choice" if any(choice.value == value for choice in field.choices):
            return value
        case "yes_no" if isinstance(value, bool):
            return value
        case "number" if isinstance(value, str | int | float) and not isinstance(value, bool):
            number = _number(value)
            if number is not None:
                return number
        case "date" if isinstance(value, str):
            try:
                return date.fromisoformat(value).isoformat()
            except ValueError:
                pass
    raise WrongAnswer(field.name, field.kind)


def _number(value: str | float) -> int | float | None:
    try:
        # Decimal digits of every script are digits to float().
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _holds(condition: Condition, answers: Answers) -> bool:
    answer = answers.get(condition.field)
    if answer is None:
        return False
    if condition.equals is not None and answer != condition.equals:
        return False
    if condition.among is not None and answer not in condition.among:
        return False
    for bound, beyond in ((condition.above, 1), (condition.below, -1)):
        if bound is not None and not _beyond(answer, bound, beyond):
            return False
    return True


def _beyond(answer: Any, bound: float | str, direction: int) -> bool:
    if isinstance(answer, str) != isinstance(bound, str):
        return False
    return bool(answer > bound if direction > 0 else answer < bound)


# ---- two versions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A step that was "added", "removed" or "changed"; `parts` are (what, before, after) as JSON
    values, of what differs in a changed one."""

    step: str
    kind: str
    parts: tuple[tuple[str, Any, Any], ...] = ()


def compare(before: Steps, then: Steps) -> list[Difference]:
    """What became of the steps, in the order of the newer ones, the removed last."""
    found: list[Difference] = []
    for step in then:
        former = find(before, step.id)
        if former is None:
            found.append(Difference(step.id, "added"))
        elif former != step:
            old, new = msgspec.to_builtins(former), msgspec.to_builtins(step)
            found.append(Difference(step.id, "changed", tuple(_differing("", old, new))))
    known = {step.id for step in then}
    return found + [Difference(step.id, "removed") for step in before if step.id not in known]


def _differing(name: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in dict.fromkeys((*old, *new))
            if old.get(key) != new.get(key)
            for line in _differing(f"{name}.{key}".strip("."), old.get(key), new.get(key))
        ]
    return [(name, old, new)]
