"""Rules: when something is written ... if it is so ... then do that.

Owns what a rule may ask and do, whether it holds for a message, and why not. Pure: it looks at a
`Written`, and answers with what is to be done; rule_runs.py reads and does it. Patterns have only
`*` and `?`: nobody's pattern takes longer than the text.

A condition is {"field", "operator", "value", "not"}: `value` is a text, or a list of which one is
enough; "not" turns it round. An action is {"do", "value"}, a task has also "minutes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from functools import lru_cache
from typing import Any, Protocol

from crm_store.models import Channel, RuleMoment, Segment
from crm_store.search_terms import fold_letters

# A longer text is judged by its beginning: what a rule looks for stands there.
LOOKED_AT = 20_000
LONGEST_VALUE = 500
MOST_CONDITIONS = 20
MOST_ACTIONS = 10

WAITING_MINUTES = "waiting_minutes"
"""The condition by which a rule of the moment "unanswered" says how long (in opening time)."""

OPERATORS: Mapping[str, tuple[str, ...]] = {
    "channel": ("is",),
    "sender": ("is", "contains", "matches"),
    "our_address": ("is", "contains", "matches"),
    "subject": ("contains", "word", "is", "matches"),
    "text": ("contains", "word", "matches"),
    "language": ("is",),
    "segment": ("is",),
    "customer": ("is",),
    "queue": ("is",),
    "attachment": ("is", "matches"),
    "hour": ("between",),
    "opening": ("is",),
    "automatic": ("is",),
    "tag": ("is",),
    WAITING_MINUTES: ("is",),
}
"""The fields that a condition may be about, with the operators of each, the usual one first."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "channel": tuple(channel.value for channel in Channel),
    "segment": tuple(segment.value for segment in Segment),
    "customer": ("known", "unknown"),
    "opening": ("open", "closed"),
    "automatic": ("auto_reply", "list", "bounce", "complaint", "none"),
}
"""The values of those fields that have a fixed list."""

ACTIONS = ("queue", "tag", "assign", "priority", "answer", "task", "close", "spam", "stop")
"""What may be done: `value` is a queue's name; a tag; a login; minutes ahead of others; a canned
text's code; a task's title; a disposition or ""; nothing for the last two. "stop" keeps the rules
that follow from being asked."""

_WITHOUT_VALUE = {"close", "spam", "stop"}


class Rule(Protocol):
    """What of a rule is needed to judge by it."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def moment(self) -> RuleMoment: ...
    @property
    def conditions(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def actions(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A message and its conversation, as far as rules look at them. `clock` is the house's."""

    channel: Channel
    sender: str = ""
    our_address: str = ""
    subject: str = ""
    text: str = ""
    language: str = ""
    segment: Segment | None = None
    is_known: bool = False
    queue: str = ""
    attachments: Sequence[str] = ()
    clock: time = time(0)
    is_open: bool = True
    automatic: str = ""
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rule holds. If not, `failed` is the place of the first condition that does not."""

    rule_id: int
    name: str
    holds: bool
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What all rules together say: each one's verdict, in their order, and what is to be done."""

    verdicts: Sequence[Verdict] = ()
    actions: Sequence[tuple[int, Mapping[str, Any]]] = field(default=())

    @property
    def held(self) -> list[int]:
        return [verdict.rule_id for verdict in self.verdicts if verdict.holds]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a rule cannot be kept. `part` is "condition", "action" or "rule"; `place` counts from 0.
    `kind` is field, operator, no_value, too_long, choice, hour, number, action, no_actions,
    too_many, no_waiting, waiting_twice, waiting_elsewhere, or unknown (a queue, an agent, a text
    that there is not)."""

    part: str
    place: int
    kind: str
    detail: str = ""


def decide(rules: Sequence[Rule], written: Written) -> Decision:
    """Ask rules in their order. Each sees the queue and the tags as those before it left them."""
    verdicts = []
    actions: list[tuple[int, Mapping[str, Any]]] = []
    for rule in rules:
        verdict = judge(rule, written)
        verdicts.append(verdict)
        if not verdict.holds:
            continue
        actions += [(rule.id, action) for action in rule.actions]
        done = {action["do"] for action in rule.actions}
        for action in rule.actions:
            if action["do"] == "queue":
                written = replace(written, queue=action["value"])
            elif action["do"] == "tag" and action["value"] not in written.tags:
                written = replace(written, tags=(*written.tags, action["value"]))
        if done & {"stop", "spam"}:
            break
    return Decision(tuple(verdicts), tuple(actions))


def judge(rule: Rule, written: Written) -> Verdict:
    """Whether all conditions of the rule hold; one without any always does."""
    for place, condition in enumerate(rule.conditions):
        if _holds(condition, written) is bool(condition.get("not", False)):
            return Verdict(rule.id, rule.name, False, place)
    return Verdict(rule.id, rule.name, True)


def waiting_minutes(rule: Rule) -> int | None:
    """After how many minutes without an answer the rule is asked; None for another moment's."""
    if rule.moment is not RuleMoment.UNANSWERED:
        return None
    given = (one["value"] for one in rule.conditions if one["field"] == WAITING_MINUTES)
    return next((int(value) for value in given), None)


def problems(
    rule: Rule,
    *,
    queues: Sequence[str] | None = None,
    agents: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
) -> list[Problem]:
    """What keeps the rule from being kept, in order. Names that are given as None are not looked
    at; a rule that names a queue, an agent or a text outside of these cannot be switched on."""
    found = []
    if len(rule.conditions) > MOST_CONDITIONS or len(rule.actions) > MOST_ACTIONS:
        found.append(Problem("rule", 0, "too_many"))
    if not rule.actions:
        found.append(Problem("rule", 0, "no_actions"))
    names = {"queue": queues, "assign": agents, "answer": texts}
    for place, condition in enumerate(rule.conditions):
        wrong = _wrong_condition(condition, names["queue"])
        found += [Problem("condition", place, *wrong)] if wrong else []
    for place, action in enumerate(rule.actions):
        wrong = _wrong_action(action, names)
        found += [Problem("action", place, *wrong)] if wrong else []
    waits = sum(condition.get("field") == WAITING_MINUTES for condition in rule.conditions)
    if rule.moment is RuleMoment.UNANSWERED and waits != 1:
        found.append(Problem("rule", 0, "waiting_twice" if waits else "no_waiting"))
    elif rule.moment is not RuleMoment.UNANSWERED and waits:
        found.append(Problem("rule", 0, "waiting_elsewhere"))
    return found


# ---- one condition -------------------------------------------------------------------------------


def _holds(condition: Mapping[str, Any], written: Written) -> bool:
    name, operator = condition["field"], condition["operator"]
    if name == WAITING_MINUTES:
        return True
    values = _values(condition)
    if operator == "between":
        return any(_is_between(value, written.clock) for value in values)
    asked = _asked(name, written)
    return any(_compare(operator, text, value) for text in asked for value in values)


def _asked(name: str, written: Written) -> Sequence[str]:
    """The texts that a field stands for; any of them may have the value."""
    if name == "attachment":
        return written.attachments
    if name == "tag":
        return written.tags
    if name == "segment":
        return [written.segment.value if written.segment else ""]
    if name == "customer":
        return ["known" if written.is_known else "unknown"]
    if name == "opening":
        return ["open" if written.is_open else "closed"]
    if name == "automatic":
        return [written.automatic or "none"]
    if name == "channel":
        return [written.channel.value]
    return [str(getattr(written, name))]


def _compare(operator: str, text: str, value: str) -> bool:
    folded = _folded(text)
    wanted = fold_letters(value).strip()
    if operator == "is":
        return " ".join(folded.split()) == " ".join(wanted.split())
    if operator == "contains":
        return wanted in folded
    if operator == "word":
        return _has_word(folded, wanted)
    return _matches(folded, wanted)


@lru_cache(maxsize=64)
def _folded(text: str) -> str:
    # All rules look at one message before any looks at the next.
    return fold_letters(text[:LOOKED_AT])


def _has_word(text: str, word: str) -> bool:
    """The word stands there by itself. Chinese has no spaces: there, anywhere is by itself."""
    at = text.find(word)
    while word and at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(word) : at + len(word) + 1]
        if not (_goes_on(before, word[0]) or _goes_on(word[-1], after)):
            return True
        at = text.find(word, at + 1)
    return False


def _goes_on(one: str, following: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    return bool(
        one.isalnum() and following.isalnum() and not (_is_wide(one) or _is_wide(following))
    )


def _is_wide(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3"


def _matches(text: str, pattern: str) -> bool:
    """The whole text is as the pattern says: `*` is anything, `?` one character."""
    pieces = re.split(r"\*+", pattern)
    if len(pieces) == 1:
        return _piece(pattern).fullmatch(text) is not None
    first, *middle, last = pieces
    begun = _piece(first).match(text)
    if begun is None:
        return False
    at = begun.end()
    for piece in middle:
        found = _piece(piece).search(text, at)
        if found is None:
            return False
        at = found.end()
    # A piece has one length only, so the last one can stand nowhere but at the very end.
    start = len(text) - len(last)
    return start >= at and _piece(last).match(text, start) is not None


@lru_cache(maxsize=512)
def _piece(piece: str) -> re.Pattern[str]:
    return re.compile("".join("." if c == "?" else re.escape(c) for c in piece), re.DOTALL)


def _is_between(hours: str, clock: time) -> bool:
    opens, closes = _hours(hours)
    if opens <= closes:
        return opens <= clock < closes
    return clock >= opens or clock < closes


@lru_cache(maxsize=64)
def _hours(value: str) -> tuple[time, time]:
    opens, _, closes = value.partition("-")
    return time.fromisoformat(opens.strip()), time.fromisoformat(closes.strip())


def _values(condition: Mapping[str, Any]) -> list[str]:
    value = condition["value"]
    return [value] if isinstance(value, str) else list(value)


# ---- what cannot be kept -------------------------------------------------------------------------


def _wrong_condition(
    condition: Mapping[str, Any], queues: Sequence[str] | None
) -> tuple[str, str] | None:
    name = condition.get("field", "")
    if name not in OPERATORS:
        return "field", str(name)
    if condition.get("operator") not in OPERATORS[name]:
        return "operator", str(condition.get("operator"))
    given = condition.get("value")
    values = [given] if isinstance(given, str) else given
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return "no_value", ""
    if not values or not all(value.strip() for value in values):
        return "no_value", ""
    for value in values:
        if len(value) > LONGEST_VALUE:
            return "too_long", ""
        if name in CHOICES and value not in CHOICES[name]:
            return "choice", value
        if name == "queue" and queues is not None and value not in queues:
            return "unknown", value
        if name == "hour" and not _are_hours(value):
            return "hour", value
        if name == WAITING_MINUTES and not _is_number(value):
            return "number", value
    return None


def _wrong_action(
    action: Mapping[str, Any], names: Mapping[str, Sequence[str] | None]
) -> tuple[str, str] | None:
    done, value = action.get("do", ""), action.get("value", "")
    if done not in ACTIONS:
        return "action", str(done)
    if done in _WITHOUT_VALUE:
        return None
    if not isinstance(value, str) or not value.strip():
        return "no_value", ""
    if len(value) > LONGEST_VALUE:
        return "too_long", ""
    known = names.get(done)
    if known is not None and value not in known:
        return "unknown", value
    if done == "priority" and not _is_number(value):
        return "number", value
    if done == "task" and not _is_number(str(action.get("minutes", ""))):
        return "number", str(action.get("minutes", ""))
    return None


def _are_hours(value: str) -> bool:
    try:
        opens, closes = _hours(value)
    except ValueError:
        return False
    return opens != closes and opens.tzinfo is None and closes.tzinfo is None


def _is_number(value: str) -> bool:
    # Up to a year of minutes.
    return bool(re.fullmatch(r"[0-9]{1,6}", value)) and 0 < int(value) <= 525_600
