"""Steps of a script: their form, the way that answers lead, and what keeps them from being used."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_store.knowledge import placeholders, script_problems, script_steps
from crm_store.knowledge.script_steps import MalformedSteps, Steps, WrongAnswer

pytestmark = pytest.mark.unit

PLAIN: list[dict[str, Any]] = [
    {
        "id": "greeting",
        "title": {"en": "Greeting", "zh": "问候"},
        "text": {
            "en": "Hello {customer.name}, this is {agent.name}.",
            "zh": "您好 {customer.name}",
        },
        "fields": [
            {
                "name": "about",
                "label": {"en": "About", "zh": "关于"},
                "kind": "choice",
                "required": True,
                "choices": [
                    {"value": "order", "label": {"en": "Order", "zh": "订单"}},
                    {"value": "other", "label": {"en": "Other", "zh": "其他"}},
                ],
            },
            {"name": "amount", "label": {"en": "Amount", "zh": "金额"}, "kind": "number"},
        ],
        "next": [
            {"when": {"field": "amount", "above": 1000}, "to": "manager"},
            {"when": {"field": "about", "is": "order"}, "to": "order"},
        ],
        "otherwise": "bye",
    },
    {
        "id": "order",
        "title": {"en": "Order", "zh": "订单"},
        "text": {"en": "Which order?", "zh": "哪个订单?"},
        "fields": [{"name": "urgent", "label": {"en": "Urgent", "zh": "急"}, "kind": "yes_no"}],
        "otherwise": "bye",
    },
    {
        "id": "manager",
        "title": {"en": "Manager", "zh": "经理"},
        "text": {"en": "I ask my manager.", "zh": "我问经理。"},
        "otherwise": "bye",
    },
    {
        "id": "bye",
        "title": {"en": "Good-bye", "zh": "再见"},
        "text": {"en": "Thank you.", "zh": "谢谢。"},
        "end": True,
        "disposition": "solved",
    },
]


def changed(step: int, **values: Any) -> Steps:
    return script_steps.read(
        [{**one, **values} if at == step else one for at, one in enumerate(PLAIN)]
    )


def kinds(steps: Steps) -> list[tuple[str, str, str]]:
    found = script_problems.problems(steps, ["en", "zh"], ["solved"])
    return [(one.kind, one.step, one.detail) for one in found]


def test_steps_come_back_as_they_were_written() -> None:
    steps = script_steps.read(PLAIN)
    assert script_steps.read(script_steps.write(steps)) == steps
    assert script_steps.write(steps)[0]["next"][1]["when"] == {"field": "about", "is": "order"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        "steps",
        [{"id": "a"}],
        [{**PLAIN[0], "id": "Not a name"}],
        [{**PLAIN[0], "unknown": 1}],
        [{**PLAIN[0], "fields": [{"name": "a", "label": {}, "kind": "colour"}]}],
        [PLAIN[3]] * 101,
    ],
)
def test_what_are_no_steps_is_refused(data: object) -> None:
    with pytest.raises(MalformedSteps):
        script_steps.read(data)


def test_a_sound_script_has_no_problems() -> None:
    assert kinds(script_steps.read(PLAIN)) == []


@pytest.mark.parametrize(
    ("step", "values", "problem"),
    [
        (1, {"otherwise": None}, ("dead_end", "order", "")),
        (1, {"otherwise": "nowhere"}, ("unknown_target", "order", "nowhere")),
        (1, {"otherwise": "greeting"}, ("circle", "greeting", "")),
        (1, {"id": "lost"}, ("unreachable", "lost", "")),
        (1, {"id": "bye"}, ("step_twice", "bye", "")),
        (1, {"text": {"en": "Which?"}}, ("missing_language", "order", "zh")),
        (
            1,
            {"text": {"en": "{custmer}", "zh": "哪"}},
            ("unknown_placeholder", "order", "{custmer}"),
        ),
        (1, {"text": {"en": "a } b", "zh": "哪"}}, ("unknown_placeholder", "order", "}")),
        (1, {"end": True}, ("end_goes_on", "order", "")),
        (3, {"disposition": "gone"}, ("unknown_disposition", "bye", "gone")),
        (
            1,
            {"next": [{"when": {"field": "colour", "is": "red"}, "to": "bye"}]},
            ("field_not_asked", "order", "colour"),
        ),
        (
            2,
            {"next": [{"when": {"field": "urgent", "is": True}, "to": "bye"}]},
            ("field_not_asked", "manager", "urgent"),
        ),
        (
            1,
            {"next": [{"when": {"field": "about", "is": "nothing"}, "to": "bye"}]},
            ("wrong_value", "order", "about"),
        ),
        (
            1,
            {"next": [{"when": {"field": "about", "above": 3}, "to": "bye"}]},
            ("wrong_value", "order", "about"),
        ),
        (
            1,
            {"next": [{"when": {"field": "amount"}, "to": "bye"}]},
            ("empty_condition", "order", "amount"),
        ),
        (
            1,
            {"fields": [{"name": "c", "label": {"en": "C", "zh": "C"}, "kind": "choice"}]},
            ("no_choices", "order", "c"),
        ),
        (
            1,
            {"fields": [{"name": "amount", "label": {"en": "C", "zh": "C"}, "kind": "text"}]},
            ("field_twice", "order", "amount"),
        ),
        (
            1,
            {
                "fields": [
                    {"name": "f", "label": {"en": "F", "zh": "F"}, "kind": "text", "fills": "x.y"}
                ]
            },
            ("unknown_fill", "order", "x.y"),
        ),
    ],
)
def test_a_fault_is_told_with_its_step(
    step: int, values: dict[str, Any], problem: tuple[str, str, str]
) -> None:
    assert problem in kinds(changed(step, **values))


def test_branches_that_name_every_answer_need_no_otherwise() -> None:
    every = [
        {"when": {"field": "about", "is": "order"}, "to": "order"},
        {"when": {"field": "about", "in": ["other"]}, "to": "manager"},
    ]
    assert kinds(changed(0, next=every, otherwise=None)) == []
    assert ("dead_end", "greeting", "") in kinds(changed(0, next=every[:1], otherwise=None))


def test_no_steps_cannot_be_published() -> None:
    assert kinds(()) == [("no_steps", "", "")]


@pytest.mark.parametrize(
    ("answers", "target"),
    [
        ({}, "bye"),
        ({"about": "other"}, "bye"),
        ({"about": "order"}, "order"),
        ({"about": "order", "amount": 1000}, "order"),
        ({"about": "order", "amount": 1000.5}, "manager"),
    ],
)
def test_the_first_branch_that_holds_leads_on(answers: dict[str, Any], target: str) -> None:
    steps = script_steps.read(PLAIN)
    assert script_steps.after(steps[0], answers) == target


def test_the_way_is_what_the_answers_lead_through() -> None:
    steps = script_steps.read(PLAIN)
    assert script_steps.way(steps, {"about": "order"}, "bye") == ["greeting", "order", "bye"]
    assert script_steps.way(steps, {}, "order") == ["order"]
    assert script_steps.after(steps[3], {}) is None


def test_answers_are_kept_in_the_form_of_their_field() -> None:
    step = script_steps.read(PLAIN)[0]
    kept = script_steps.checked_answers(step, {"about": "order", "amount": "١٢.٥"}, complete=True)
    assert kept == {"about": "order", "amount": 12.5}
    assert script_steps.checked_answers(step, {"amount": " "}, complete=False) == {
        "about": None,
        "amount": None,
    }


@pytest.mark.parametrize(
    ("answers", "field", "kind"),
    [
        ({}, "about", "required"),
        ({"about": "red"}, "about", "choice"),
        ({"about": ["order"]}, "about", "choice"),
        ({"about": "order", "amount": "much"}, "amount", "number"),
        ({"about": "order", "amount": "nan"}, "amount", "number"),
        ({"about": "order", "amount": True}, "amount", "number"),
    ],
)
def test_what_is_no_answer_is_refused(answers: dict[str, Any], field: str, kind: str) -> None:
    with pytest.raises(WrongAnswer) as refused:
        script_steps.checked_answers(script_steps.read(PLAIN)[0], answers, complete=True)
    assert (refused.value.field, refused.value.kind) == (field, kind)


def test_two_versions_compared() -> None:
    before = script_steps.read(PLAIN)
    then = script_steps.read(
        [
            {**PLAIN[0], "text": {"en": "Hi", "zh": PLAIN[0]["text"]["zh"]}},
            PLAIN[1],
            PLAIN[3],
            {**PLAIN[2], "id": "new"},
        ]
    )
    found = script_steps.compare(before, then)
    assert [(one.step, one.kind) for one in found] == [
        ("greeting", "changed"),
        ("new", "added"),
        ("manager", "removed"),
    ]
    assert found[0].parts == (("text.en", PLAIN[0]["text"]["en"], "Hi"),)
    assert script_steps.compare(before, before) == []


def step_ids(count: int) -> list[str]:
    return [f"s{at}" for at in range(count)]


@given(
    st.integers(1, 8).flatmap(
        lambda count: st.lists(
            st.one_of(st.none(), st.sampled_from(step_ids(count))), min_size=count, max_size=count
        )
    )
)
def test_a_script_without_problems_always_comes_to_its_end(targets: list[str | None]) -> None:
    steps = script_steps.read(
        [
            {"id": f"s{at}", "title": {}, "text": {}, "otherwise": to, "end": to is None}
            for at, to in enumerate(targets)
        ]
    )
    found = script_problems.problems(steps, [], [])
    at: str | None = "s0"
    passed = []
    while at is not None and at not in passed:
        passed.append(at)
        step = script_steps.find(steps, at)
        assert step is not None
        at = script_steps.after(step, {})
    ends = at is None
    reaches_all = set(passed) == set(step_ids(len(steps)))
    assert (found == []) == (ends and reaches_all)


@given(st.text(alphabet="ab{}. "), st.text())
def test_no_text_is_given_out_with_a_brace_of_its_own(text: str, name: str) -> None:
    if placeholders.mistakes(text):
        return
    whole, missing = placeholders.filled(text, dict.fromkeys(placeholders.NAMES, name))
    assert (whole, missing) == (text, [])


def test_a_missing_value_is_said_and_not_written() -> None:
    text = "Dear {customer.name}, you have {points}. {customer.name}!"
    values = {"points": "{7}", "customer.name": ""}
    assert placeholders.filled(text, values) == ("Dear , you have {7}. !", ["customer.name"])
    assert [part.kind for part in placeholders.parts(text, values)] == [
        "text", "missing", "text", "value", "text", "missing", "text",
    ]  # fmt: skip
    assert placeholders.names_in(text) == ["customer.name", "points"]
