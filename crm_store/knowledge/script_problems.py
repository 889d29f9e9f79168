"""What keeps a script's steps from being published.

Owns the faults that would leave an agent without a next step or without a text in a language, each
with the step that it is in. Plain values in and out; how a fault is told to people is the desk's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_store.knowledge import placeholders
from crm_store.knowledge.script_steps import (
    FILLS,
    Condition,
    Field,
    Step,
    Steps,
    WrongAnswer,
    checked,
    find,
    targets,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why steps cannot be published. `kind` names the fault, `step` its place ("" for the whole
    script), `detail` what it is about: a target, a field, a language, a placeholder."""

    kind: str
    step: str
    detail: str = ""


def problems(
    steps: Steps, languages: Collection[str], dispositions: Collection[str]
) -> list[Problem]:
    """All that keeps the steps from being published, in the order of the steps.

    `languages` are those that every text must be there in, `dispositions` the codes there are.
    """
    if not steps:
        return [Problem("no_steps", "")]
    found: list[Problem] = []
    ids = [step.id for step in steps]
    reached = _reached(steps)
    asked = _asked_before(steps)
    names = [field.name for step in steps for field in step.fields]
    for position, step in enumerate(steps):
        if step.id in ids[:position]:
            found.append(Problem("step_twice", step.id))
        found += _text_problems(step, languages)
        for field in step.fields:
            found += _field_problems(step, field)
            if names.count(field.name) > 1:
                found.append(Problem("field_twice", step.id, field.name))
        for branch in step.next:
            found += _condition_problems(step, branch.when, asked.get(step.id, {}))
        found += _way_problems(step, ids)
        if step.disposition and step.disposition not in dispositions:
            found.append(Problem("unknown_disposition", step.id, step.disposition))
        if step.id not in reached:
            found.append(Problem("unreachable", step.id))
    circle = _circle(steps)
    if circle is not None:
        found.append(Problem("circle", circle))
    return list(dict.fromkeys(found))


def _text_problems(step: Step, languages: Collection[str]) -> list[Problem]:
    labels = [field.label for field in step.fields]
    labels += [choice.label for field in step.fields for choice in field.choices]
    found = [
        Problem("missing_language", step.id, language)
        for language in languages
        if not all(texts.get(language, "").strip() for texts in (step.title, step.text, *labels))
    ]
    for text in (*step.title.values(), *step.text.values()):
        found += [
            Problem("unknown_placeholder", step.id, mistake)
            for mistake in placeholders.mistakes(text)
        ]
    return found


def _field_problems(step: Step, field: Field) -> list[Problem]:
    found = []
    if field.kind == "choice" and not field.choices:
        found.append(Problem("no_choices", step.id, field.name))
    if field.fills and field.fills not in FILLS:
        found.append(Problem("unknown_fill", step.id, field.fills))
    if field.fills and field.kind not in ("text", "choice"):
        found.append(Problem("fill_needs_text", step.id, field.name))
    return found


def _condition_problems(
    step: Step, condition: Condition, asked: Mapping[str, Field]
) -> list[Problem]:
    field = asked.get(condition.field)
    if field is None:
        return [Problem("field_not_asked", step.id, condition.field)]
    values = [] if condition.equals is None else [condition.equals]
    values += condition.among or ()
    bounds = [bound for bound in (condition.above, condition.below) if bound is not None]
    if not values and not bounds:
        return [Problem("empty_condition", step.id, condition.field)]
    if bounds and field.kind not in ("number", "date"):
        return [Problem("wrong_value", step.id, condition.field)]
    try:
        fits = all(checked(field, value) == value for value in (*values, *bounds))
    except WrongAnswer:
        fits = False
    return [] if fits else [Problem("wrong_value", step.id, condition.field)]


def _way_problems(step: Step, ids: Sequence[str]) -> list[Problem]:
    ways = targets(step)
    found = [Problem("unknown_target", step.id, target) for target in ways if target not in ids]
    if step.end and ways:
        found.append(Problem("end_goes_on", step.id))
    if not step.end and step.otherwise is None and not _covers_all(step):
        found.append(Problem("dead_end", step.id))
    return found


def _covers_all(step: Step) -> bool:
    """Whether the branches name every answer that a required choice of this step can have."""
    for field in step.fields:
        if not field.required or field.kind not in ("choice", "yes_no"):
            continue
        possible: set[Any] = (
            {True, False} if field.kind == "yes_no" else {line.value for line in field.choices}
        )
        for branch in step.next:
            when = branch.when
            if when.field == field.name and when.above is None and when.below is None:
                possible -= {when.equals} if when.among is None else set(when.among)
        if not possible:
            return True
    return False


def _reached(steps: Steps) -> set[str]:
    reached: set[str] = set()
    waiting = [steps[0].id]
    while waiting:
        step = find(steps, waiting.pop())
        if step is not None and step.id not in reached:
            reached.add(step.id)
            waiting += targets(step)
    return reached


def _asked_before(steps: Steps) -> dict[str, dict[str, Field]]:
    """By step: the fields that some way there asks for, its own among them."""
    asked: dict[str, dict[str, Field]] = {
        step.id: {field.name: field for field in step.fields} for step in steps
    }
    for _round in steps:
        before = sum(map(len, asked.values()))
        for step in steps:
            for target in targets(step):
                if target in asked:
                    asked[target] = asked[step.id] | asked[target]
        if sum(map(len, asked.values())) == before:
            break
    return asked


def _circle(steps: Steps) -> str | None:
    """A step that leads back to itself."""
    done: set[str] = set()
    for first in steps:
        path: list[tuple[str, list[str]]] = [(first.id, targets(first))]
        while path:
            at, ways = path[-1]
            target = ways.pop() if ways else None
            if target is None:
                done.add(at)
                path.pop()
            elif any(target == passed for passed, _ in path):
                return target
            elif target not in done:
                step = find(steps, target)
                path.append((target, targets(step) if step is not None else []))
    return None
