"""Inbox rules in words: what their menus offer, and a rule as one sentence.

Owns the texts of every field, comparison, value and action that channels/rules.py knows, and of
what can be wrong with a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_desk.desk.desk_texts import desk_texts
from agent_desk.languages import NAMES, Language
from channels.rules import WAITING_MINUTES, Problem
from crm_store.models import RuleMoment


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What rules can name in this house, by code: each with its title."""

    queues: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    dispositions: Mapping[str, str] = field(default_factory=dict)


def moments(_: Language) -> dict[str, str]:
    return {
        RuleMoment.RECEIVED.value: _("a message comes"),
        RuleMoment.UNANSWERED.value: _("nobody has answered for"),
        RuleMoment.CLOSED.value: _("a conversation is settled"),
    }


def field_titles(_: Language) -> dict[str, str]:
    return {
        "channel": _("the channel"),
        "sender": _("the sender's address"),
        "our_address": _("our address"),
        "subject": _("the subject"),
        "text": _("the text"),
        "language": _("the language"),
        "segment": _("the customer's segment"),
        "customer": _("the customer"),
        "queue": _("the queue"),
        "attachment": _("an attachment's type"),
        "hour": _("the time of day"),
        "opening": _("the house"),
        "automatic": _("the kind of message"),
        "tag": _("a tag"),
    }


def operator_titles(_: Language) -> dict[str, dict[str, str]]:
    """How a field is compared: as it is, and turned round."""
    return {
        "is": {"yes": _("is"), "no": _("is not")},
        "contains": {"yes": _("contains"), "no": _("does not contain")},
        "word": {"yes": _("has the word"), "no": _("has not the word")},
        "matches": {"yes": _("is like"), "no": _("is not like")},
        "between": {"yes": _("is between"), "no": _("is not between")},
    }


def value_titles(_: Language, named: Named) -> dict[str, Mapping[str, str]]:
    """The values of the fields that have a list of them."""
    texts = desk_texts(_)
    return {
        "channel": texts["channel"],
        "segment": texts["segment"],
        "language": dict(NAMES),
        "queue": named.queues,
        "customer": {"known": _("known to us"), "unknown": _("not known to us")},
        "opening": {"open": _("open now"), "closed": _("closed now")},
        "automatic": {
            "none": _("written by a person"),
            "auto_reply": _("automatic reply"),
            "list": _("mailing list"),
            "bounce": _("came back"),
            "complaint": _("spam complaint"),
        },
    }


def action_titles(_: Language) -> dict[str, str]:
    return {
        "queue": _("put it into the queue"),
        "tag": _("tag it"),
        "assign": _("give it to"),
        "priority": _("let it go ahead of others, by minutes"),
        "answer": _("answer with the canned text"),
        "task": _("write a task"),
        "close": _("settle it"),
        "spam": _("take it for spam"),
        "stop": _("ask no rule after this one"),
    }


def sentence(
    moment: str,
    conditions: Sequence[Mapping[str, Any]],
    actions: Sequence[Mapping[str, Any]],
    named: Named,
    _: Language,
) -> str:
    """The rule as one reads it: when … if … then …"""
    when = moments(_).get(moment, moment)
    minutes = next((str(one["value"]) for one in conditions if one["field"] == WAITING_MINUTES), "")
    if minutes:
        when = _("nobody has answered for %s minutes (opening time)") % minutes
    said = [condition_words(one, named, _) for one in conditions if one["field"] != WAITING_MINUTES]
    done = [action_words(one, named, _) for one in actions]
    joined = _(" and ").join(said) or _("whatever it is")
    return _("When %(when)s, if %(conditions)s, then: %(actions)s.") % {
        "when": when,
        "conditions": joined,
        "actions": "; ".join(done),
    }


def condition_words(one: Mapping[str, Any], named: Named, _: Language) -> str:
    titles = value_titles(_, named).get(one["field"], {})
    value = one["value"]
    values = [value] if isinstance(value, str) else list(value)
    compared = operator_titles(_)[one["operator"]]["no" if one.get("not") else "yes"]
    shown = [titles.get(each, f"“{each}”") for each in values]
    either = _(" or ").join(shown)
    return f"{field_titles(_)[one['field']]} {compared} {either}"


def action_words(one: Mapping[str, Any], named: Named, _: Language) -> str:
    done, value = one["do"], str(one.get("value", ""))
    titles: Mapping[str, Mapping[str, str]] = {
        "queue": named.queues,
        "assign": named.agents,
        "answer": named.texts,
        "close": named.dispositions,
    }
    shown = titles.get(done, {}).get(value, f"“{value}”" if value else "")
    words = f"{action_titles(_)[done]} {shown}".strip()
    if done == "task":
        return _("%(task)s, due in %(minutes)s minutes") % {
            "task": words,
            "minutes": one["minutes"],
        }
    return words


def problem_words(one: Problem, _: Language) -> str:
    """What is wrong, with the place of the condition or the action."""
    said = {
        "field": _("Choose what it is about."),
        "operator": _("Choose how it is compared."),
        "no_value": _("Say with what."),
        "too_long": _("This is too long."),
        "choice": _("Choose one of the list."),
        "hour": _("Write two times of the day, such as 09:00-18:00."),
        "number": _("Write a number of minutes, up to a year."),
        "action": _("Choose what is to be done."),
        "no_actions": _("Say what is to be done."),
        "too_many": _("These are too many: at most 20 conditions and 10 actions."),
        "no_waiting": _("Say for how long nobody has answered."),
        "waiting_twice": _("Say once for how long nobody has answered."),
        "waiting_elsewhere": _("How long nobody has answered is for that moment only."),
        "unknown": _("There is no “%s” here.") % one.detail,
    }.get(one.kind) or _("Choose one of the list.")
    places = {"condition": _("Condition %d:"), "action": _("Action %d:")}
    if one.part not in places:
        return said
    return f"{places[one.part] % (one.place + 1)} {said}"
