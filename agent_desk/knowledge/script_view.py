"""A script's step as an agent sees it, and its faults as a supervisor reads them.

Owns the form of a step in answers of the API, with its text filled and cut at its placeholders.
Refuses to know whose call it is and where a run is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_desk.languages import NAMES, Language
from crm_store.knowledge import placeholders, script_steps
from crm_store.knowledge.script_problems import Problem
from crm_store.knowledge.script_steps import FILLS, Field, Step, Steps
from crm_store.staff.queues import title


def step_view(
    steps: Steps,
    step: Step,
    answers: Mapping[str, Any],
    *,
    language: str,
    values: Mapping[str, str],
    dispositions: Mapping[str, str],
    reader: Language,
) -> dict[str, Any]:
    """{"id", "title", "language", "parts", "fields", "end", "disposition", "passed"}: the step in
    `language`, or in one that it is there in; what is not said to the customer, in the reader's.

    `passed` are the titles of the steps before it; `disposition` is {"code", "title"} or None.
    """
    text = step.text.get(language) or title(step.text, language, "")
    labels = placeholder_labels(reader)
    return {
        "id": step.id,
        "title": title(step.title, reader.code, step.id),
        "language": language,
        "parts": [
            {"kind": part.kind, "text": labels.get(part.text, part.text)}
            if part.kind == "missing"
            else {"kind": part.kind, "text": part.text}
            for part in placeholders.parts(text, values)
        ],
        "fields": [
            _field_view(field, answers.get(field.name), reader.code) for field in step.fields
        ],
        "end": step.end,
        "disposition": (
            {"code": step.disposition, "title": dispositions[step.disposition]}
            if step.disposition in dispositions
            else None
        ),
        "passed": [
            title(found.title, reader.code, found.id)
            for passed in script_steps.way(steps, answers, step.id)[:-1]
            if (found := script_steps.find(steps, passed)) is not None
        ],
    }


def _field_view(field: Field, value: Any, code: str) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": title(field.label, code, field.name),
        "kind": field.kind,
        "required": field.required,
        "fills": field.fills,
        "value": value,
        "choices": [
            {"value": choice.value, "label": title(choice.label, code, choice.value)}
            for choice in field.choices
        ],
    }


def placeholder_labels(_: Language) -> dict[str, str]:
    """What each placeholder stands for, in the reader's words."""
    return {
        "customer.name": _("customer's name"),
        "agent.name": _("agent's name"),
        "queue": _("queue"),
        "points": _("points"),
        "today": _("today's date"),
    }


def fill_labels(_: Language) -> dict[str, str]:
    """Where an answer can go, in the reader's words."""
    labels = {
        "customer.name": _("the customer's name"),
        "customer.language": _("the customer's language"),
        "customer.phone": _("another telephone number of the customer"),
        "customer.mail": _("another mail address of the customer"),
        "customer.notes": _("the customer's notes"),
        "interaction.summary": _("the summary of this contact"),
    }
    return {place: labels[place] for place in FILLS}


def wrong_answer(kind: str, _: Language) -> str:
    """What to do about an answer that its field does not take."""
    return {
        "required": _("This is needed to go on."),
        "number": _("Write a number."),
        "date": _("Choose a day."),
        "choice": _("Choose one of the list."),
        "yes_no": _("Choose yes or no."),
    }.get(kind) or _("This is too long.")


def problem_text(problem: Problem, _: Language) -> str:
    """The fault, with what it is about."""
    said = {
        "no_steps": _("There is no step yet."),
        "step_twice": _("Another step has the same id."),
        "missing_language": _("A text is missing in %s."),
        "unknown_placeholder": _("%s cannot be filled. Choose one of the placeholders."),
        "field_twice": _("The field “%s” is asked for twice."),
        "no_choices": _("The field “%s” has nothing to choose from."),
        "unknown_fill": _("Nothing is kept at “%s”."),
        "fill_needs_text": _("The field “%s” fills the record: make it a text or a choice."),
        "field_not_asked": _("A branch asks about “%s”, which was not asked before."),
        "empty_condition": _("The branch on “%s” has no condition."),
        "wrong_value": _("The branch on “%s” compares with something that cannot be answered."),
        "unknown_target": _("It leads to “%s”, which is no step."),
        "end_goes_on": _("It is an end, and yet something comes after it."),
        "dead_end": _("Some answers lead nowhere: say what comes next, or make it an end."),
        "unknown_disposition": _("There is no disposition “%s”."),
        "unreachable": _("Nothing leads to this step."),
        "circle": _("From here the way leads round in a circle."),
    }[problem.kind]
    detail = NAMES.get(problem.detail, problem.detail)
    return said % detail if "%s" in said else said
