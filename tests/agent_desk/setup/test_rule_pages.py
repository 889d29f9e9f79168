"""The supervisors' pages of inbox rules: made, ordered, switched, undone, and tried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_desk.languages import NAMES, language
from agent_desk.setup import rule_words
from agent_desk.setup.rule_words import Named
from channels.rules import ACTIONS, CHOICES, OPERATORS, WAITING_MINUTES, Problem
from crm_store import audit
from crm_store.contacts import conversations, inbox_rules
from crm_store.contacts.inbox_rules import RuleRecord
from crm_store.models import RuleMoment
from crm_store.staff import queues
from tests.agent_desk.conftest import RunningDesk, Visitor
from tests.agent_desk.inbox.written import comes_in

pytestmark = pytest.mark.db

INVOICES: dict[str, Any] = {
    "moment": "received",
    "conditions": [{"field": "subject", "operator": "contains", "value": ["invoice"]}],
    "actions": [{"do": "queue", "value": "service"}],
}


async def only(desk: RunningDesk) -> RuleRecord:
    (rule,) = await inbox_rules.all_rules(desk.database)
    return rule


async def save(visitor: Visitor, where: str, rule: object, **fields: str) -> tuple[int, str]:
    wish = {"name": "Invoices", "rule": json.dumps(rule)} | fields
    return await visitor.send_form(f"/setup/rules/{where}", **wish)


async def test_a_rule_is_made_switched_off_until_somebody_switches_it_on(
    desk: RunningDesk, sara: Visitor
) -> None:
    status, _ = await save(sara, "new", INVOICES)
    assert status == 303
    rule = await only(desk)
    assert (rule.active, rule.moment, rule.conditions) == (
        False,
        RuleMoment.RECEIVED,
        INVOICES["conditions"],
    )
    _, conversation = await comes_in(desk, "x", subject="My invoice", queue="")
    record = await conversations.find(desk.database, conversation)
    assert record is not None
    assert record.queue == "sales"
    _, text = await sara.get("/setup/rules")
    assert "then: put it into the queue Customer service." in text

    status, _ = await sara.send_form(f"/setup/rules/{rule.id}/switch")
    assert status == 303
    assert (await only(desk)).active
    _, conversation = await comes_in(desk, "x", subject="An invoice", queue="", sender="x@y.org")
    record = await conversations.find(desk.database, conversation)
    assert record is not None
    assert record.queue == "service"
    found = await audit.entries(desk.database, subject_kind="inbox_rule", subject_id=rule.id)
    assert [(entry.actor, entry.action) for entry in reversed(found)] == [
        ("sara", "created"),
        ("sara", "changed"),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"actions": []}, "Say what is to be done."),
        ({"actions": [{"do": "queue", "value": "gone"}]}, "There is no “gone” here."),
        ({"actions": [{"do": "dance"}]}, "Choose what is to be done."),
        ({"conditions": [{"field": "moon", "operator": "is", "value": "full"}]}, "Condition 1:"),
        ({"moment": "unanswered"}, "Say for how long nobody has answered."),
        (
            {"conditions": [{"field": "hour", "operator": "between", "value": "9 to 5"}]},
            "Write two times of the day",
        ),
    ],
)
async def test_what_cannot_be_a_rule_is_said_and_not_kept(
    desk: RunningDesk, sara: Visitor, changed: dict[str, Any], said: str
) -> None:
    status, text = await save(sara, "new", INVOICES | changed, switch_on="1")
    assert status == 400
    assert said in text
    assert await inbox_rules.all_rules(desk.database) == []


@pytest.mark.parametrize(
    "rule", ["", "no JSON", [], {}, {"moment": "x"}, {**INVOICES, "actions": 1}]
)
async def test_what_has_not_the_form_of_a_rule_is_refused(
    desk: RunningDesk, sara: Visitor, rule: object
) -> None:
    data = rule if isinstance(rule, str) else json.dumps(rule)
    status, _ = await sara.send_form("/setup/rules/new", name="x", rule=data)
    assert status == 400
    status, _ = await sara.post("/api/rules/try", rule=rule)
    assert status == 400
    assert await inbox_rules.all_rules(desk.database) == []


async def test_the_last_change_is_undone_and_done_again(desk: RunningDesk, sara: Visitor) -> None:
    await save(sara, "new", INVOICES)
    rule = await only(desk)
    assert not rule.can_undo
    await save(sara, str(rule.id), INVOICES | {"actions": [{"do": "spam"}]}, name="Away")
    assert (await only(desk)).name == "Away"
    for name, done in (("Invoices", "queue"), ("Away", "spam")):
        status, _ = await sara.send_form(f"/setup/rules/{rule.id}/undo")
        assert status == 303
        now = await only(desk)
        assert (now.name, now.actions[0]["do"]) == (name, done)


async def test_rules_are_asked_in_their_order_and_are_deleted(
    desk: RunningDesk, sara: Visitor
) -> None:
    for name in ("one", "two", "three"):
        await save(sara, "new", INVOICES, name=name)
    one, two, three = await inbox_rules.all_rules(desk.database)
    await sara.send_form(f"/setup/rules/{three.id}/move", to="up")
    await sara.send_form(f"/setup/rules/{one.id}/move", to="up")
    found = [rule.name for rule in await inbox_rules.all_rules(desk.database)]
    assert found == ["one", "three", "two"]
    await sara.send_form(f"/setup/rules/{two.id}/delete")
    assert [rule.name for rule in await inbox_rules.all_rules(desk.database)] == ["one", "three"]


async def test_a_rule_that_names_what_is_gone_cannot_be_switched_on(
    desk: RunningDesk, sara: Visitor
) -> None:
    async with desk.database.transaction() as transaction:
        new = inbox_rules.NewRule(
            name="old",
            moment=RuleMoment.RECEIVED,
            conditions=[],
            actions=[{"do": "queue", "value": "long-gone"}],
        )
        rule_id = await inbox_rules.add(transaction, new, actor="sara")
    _, text = await sara.get("/setup/rules")
    assert "There is no “long-gone” here." in text
    _, text = await sara.send_form(f"/setup/rules/{rule_id}/switch")
    assert "There is no “long-gone” here." in text
    assert not (await only(desk)).active
    assert await queues.find(desk.database, "long-gone") is None


async def test_a_trial_says_what_each_message_lacks_and_changes_nothing(
    desk: RunningDesk, sara: Visitor
) -> None:
    _, one = await comes_in(desk, "x", subject="My invoice")
    _, two = await comes_in(desk, "x", subject="A chair", sender="b@example.org")
    before = [await conversations.find(desk.database, number) for number in (one, two)]
    status, answer = await sara.post("/api/rules/try", rule=INVOICES, limit=50)
    assert (status, answer["tried"], answer["held"]) == (200, 2, 1)
    assert [(line["subject"], line["holds"], line["failed"]) for line in answer["lines"]] == [
        ("A chair", False, "the subject contains “invoice”"),
        ("My invoice", True, ""),
    ]
    assert [await conversations.find(desk.database, number) for number in (one, two)] == before
    status, answer = await sara.post("/api/rules/try", rule=INVOICES | {"actions": []})
    assert (status, answer["problems"]) == (200, ["Say what is to be done."])
    assert (await sara.post("/api/rules/try", rule=INVOICES, limit=10_000))[0] == 400


@pytest.mark.parametrize("code", NAMES)
def test_every_word_of_a_rule_has_a_text(code: str) -> None:
    _ = language(code)
    named = Named(queues={"sales": "Sales"})
    assert set(rule_words.field_titles(_)) == set(OPERATORS) - {WAITING_MINUTES}
    assert set(rule_words.action_titles(_)) == set(ACTIONS)
    assert set(rule_words.moments(_)) == {moment.value for moment in RuleMoment}
    used = {operator for operators in OPERATORS.values() for operator in operators}
    assert set(rule_words.operator_titles(_)) == used
    shown = rule_words.value_titles(_, named)
    for name, values in CHOICES.items():
        assert set(values) <= set(shown[name]), name
    for kind in ("field", "operator", "no_value", "too_long", "choice", "hour", "number",
                 "action", "no_actions", "too_many", "no_waiting", "waiting_twice",
                 "waiting_elsewhere", "unknown"):  # fmt: skip
        assert rule_words.problem_words(Problem("condition", 0, kind, "x"), _)
