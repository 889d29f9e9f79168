from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field, replace
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.rules import CHOICES, OPERATORS, Problem, Written, decide, judge, problems
from channels.rules import waiting_minutes as minutes_of
from crm_store.models import Channel, RuleMoment, Segment

pytestmark = pytest.mark.unit

MAIL = Written(
    channel=Channel.MAIL,
    sender="wang@example.com",
    our_address="service@mall.example",
    subject="Re: Where is my order?",
    text="Where is order 4711? I want a REFUND.",
    language="en",
    segment=Segment.VIP,
    is_known=True,
    queue="service",
    attachments=("image/png", "application/pdf"),
    clock=time(23, 30),
    tags=("urgent",),
)


@dataclass(frozen=True)
class Rule:
    id: int = 1
    name: str = "a rule"
    moment: RuleMoment = RuleMoment.RECEIVED
    conditions: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=lambda: [{"do": "tag", "value": "seen"}])


def when(name: str, operator: str, value: str | list[str], **more: object) -> Rule:
    return Rule(conditions=[{"field": name, "operator": operator, "value": value, **more}])


def holds(rule: Rule, written: Written = MAIL) -> bool:
    return judge(rule, written).holds


@pytest.mark.parametrize(
    ("name", "operator", "value"),
    [
        ("channel", "is", "mail"),
        ("channel", "is", ["sms", "mail"]),
        ("sender", "matches", "*@example.com"),
        ("sender", "is", "WANG@example.com"),
        ("subject", "contains", "ORDER"),
        ("subject", "word", "order"),
        ("text", "word", "refund"),
        ("text", "matches", "*order ????*"),
        ("language", "is", "en"),
        ("segment", "is", "vip"),
        ("customer", "is", "known"),
        ("queue", "is", "service"),
        ("attachment", "matches", "image/*"),
        ("attachment", "is", "application/pdf"),
        ("hour", "between", "22:00-06:00"),
        ("opening", "is", "open"),
        ("automatic", "is", "none"),
        ("tag", "is", "urgent"),
    ],
)
def test_each_field_is_asked(name: str, operator: str, value: str | list[str]) -> None:
    assert not problems(when(name, operator, value))
    assert holds(when(name, operator, value))
    assert not holds(when(name, operator, value, **{"not": True}))
    other = Written(channel=Channel.FAX, clock=time(12), is_open=False, automatic="list")
    assert not holds(when(name, operator, value), other)


def test_a_rule_without_conditions_always_holds_and_one_that_fails_says_where() -> None:
    assert holds(Rule())
    conditions = [
        {"field": "channel", "operator": "is", "value": "mail"},
        {"field": "text", "operator": "word", "value": "fund"},
        {"field": "language", "operator": "is", "value": "zh"},
    ]
    verdict = judge(Rule(conditions=conditions), MAIL)
    assert (verdict.holds, verdict.failed) == (False, 1)


def test_words_are_found_in_any_script_as_they_are_written() -> None:
    chinese = replace(MAIL, text="我要退货，谢谢。")
    assert holds(when("text", "word", "退货"), chinese)
    persian = replace(MAIL, text="سفارش من كجاست؟")
    assert holds(when("text", "word", "کجاست"), persian)
    spanish = replace(MAIL, text="¿Dónde está mi pedido?")
    assert holds(when("text", "word", "esta"), spanish)
    assert not holds(when("text", "word", "pedid"), spanish)
    assert holds(when("text", "contains", "pedid"), spanish)
    twice = replace(MAIL, text="bestorder order")
    assert holds(when("text", "word", "order"), twice)


def test_rules_see_what_those_before_them_did_and_stop_ends_them() -> None:
    rules = [
        Rule(1, "to sales", actions=[{"do": "queue", "value": "sales"}]),
        replace(when("queue", "is", "sales"), id=2, actions=[{"do": "tag", "value": "sold"}]),
        replace(when("tag", "is", "sold"), id=3, actions=[{"do": "stop"}]),
        Rule(4, "never asked"),
    ]
    decision = decide(rules, MAIL)
    assert decision.held == [1, 2, 3]
    assert [action["do"] for _, action in decision.actions] == ["queue", "tag", "stop"]
    assert [rule_id for rule_id, _ in decision.actions] == [1, 2, 3]


def test_spam_is_nobodys_business_any_more() -> None:
    rules = [Rule(1, actions=[{"do": "spam"}]), Rule(2)]
    assert decide(rules, MAIL).held == [1]


def test_how_long_an_unanswered_rule_waits() -> None:
    rule = replace(when("waiting_minutes", "is", "90"), moment=RuleMoment.UNANSWERED)
    assert not problems(rule)
    assert minutes_of(rule) == 90
    assert holds(rule)
    assert minutes_of(Rule()) is None
    assert problems(replace(rule, conditions=[])) == [Problem("rule", 0, "no_waiting")]
    assert problems(replace(rule, moment=RuleMoment.RECEIVED)) == [
        Problem("rule", 0, "waiting_elsewhere")
    ]


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ({"field": "shoe size", "operator": "is", "value": "44"}, "field"),
        ({"field": "hour", "operator": "is", "value": "9:00"}, "operator"),
        ({"field": "subject", "operator": "is", "value": " "}, "no_value"),
        ({"field": "subject", "operator": "is", "value": []}, "no_value"),
        ({"field": "subject", "operator": "is", "value": [1]}, "no_value"),
        ({"field": "subject", "operator": "is"}, "no_value"),
        ({"field": "subject", "operator": "is", "value": "x" * 501}, "too_long"),
        ({"field": "channel", "operator": "is", "value": "pigeon"}, "choice"),
        ({"field": "queue", "operator": "is", "value": "nowhere"}, "unknown"),
        ({"field": "hour", "operator": "between", "value": "25:00-26:00"}, "hour"),
        ({"field": "hour", "operator": "between", "value": "09:00-09:00"}, "hour"),
        ({}, "field"),
    ],
)
def test_a_condition_that_nobody_could_ask_is_not_kept(
    condition: dict[str, Any], kind: str
) -> None:
    found = problems(Rule(conditions=[condition]), queues=["service"])
    assert [(one.part, one.place, one.kind) for one in found] == [("condition", 0, kind)]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ({"do": "dance"}, "action"),
        ({"do": "tag"}, "no_value"),
        ({"do": "queue", "value": "nowhere"}, "unknown"),
        ({"do": "assign", "value": "nobody"}, "unknown"),
        ({"do": "answer", "value": "nothing"}, "unknown"),
        ({"do": "priority", "value": "-5"}, "number"),
        ({"do": "task", "value": "Call", "minutes": "soon"}, "number"),
        ({"do": "tag", "value": "x" * 501}, "too_long"),
    ],
)
def test_an_action_that_nobody_could_do_is_not_kept(action: dict[str, Any], kind: str) -> None:
    found = problems(Rule(actions=[action]), queues=["service"], agents=["lin"], texts=["thanks"])
    assert [(one.part, one.place, one.kind) for one in found] == [("action", 0, kind)]
    assert problems(Rule(actions=[])) == [Problem("rule", 0, "no_actions")]


@given(st.text("ab?*.\\\n[", max_size=12), st.text("ab.\\\n[", max_size=20))
def test_patterns_match_as_file_names_do(pattern: str, text: str) -> None:
    plain = pattern.replace("[", "")
    subject = text.replace("[", "").strip()
    expected = fnmatch.fnmatchcase(subject, plain.strip())
    if plain.strip() and subject:
        assert holds(when("subject", "matches", plain), replace(MAIL, subject=subject)) is expected


def test_no_pattern_takes_longer_than_its_text() -> None:
    # A regular expression made of this would still be at it when the mall closes.
    pattern = "*a" * 200 + "*b?"
    assert not holds(when("text", "matches", pattern), replace(MAIL, text="a" * 20_000))


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "field": st.one_of(st.sampled_from(sorted(OPERATORS)), st.text(max_size=5)),
                "operator": st.sampled_from(["is", "contains", "word", "matches", "between"]),
                "value": st.one_of(
                    st.text(max_size=8),
                    st.lists(st.text(max_size=3), max_size=2),
                    st.sampled_from(["mail", "known", "09:00-17:00", "open", "vip", "5"]),
                    st.none(),
                ),
            },
            optional={"not": st.booleans()},
        ),
        max_size=4,
    ),
    st.sampled_from(list(RuleMoment)),
    st.text(max_size=60),
)
def test_what_can_be_kept_can_be_judged(
    conditions: list[dict[str, Any]], moment: RuleMoment, text: str
) -> None:
    rule = Rule(conditions=conditions, moment=moment)
    if problems(rule):
        return
    verdict = judge(rule, replace(MAIL, text=text))
    assert verdict.holds is (verdict.failed is None)


def test_every_choice_is_one_that_a_condition_takes() -> None:
    for name, values in CHOICES.items():
        for value in values:
            assert not problems(when(name, "is", value))
