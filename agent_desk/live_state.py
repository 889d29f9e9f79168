"""Signals become the documents of the push's topics.

Owns what an agent's screen, the colleagues' list, the queues and the supervisors' list of calls
hold at this moment: docs/push.md has each document's form. Runs inside `bus.publish`, so it only
moves dictionaries about: no await, no database. Refuses to know sockets and pages.

Topics: `agent:<login>` (documents "state", "call:<pbx>/<call>" and "pop:<pbx>/<call>"), `calls`
("<pbx>/<call>"), `queues` (by name) and `agents` (by login).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import phonenumbers

from agent_desk.push import Document, PushHub, Topic
from crm_store import signals as s

UNFINISHED_LIMIT = 5
"""Wrap-ups an agent may leave unfinished on the screen; the oldest goes first (not its history)."""

CALLER_NAME_LENGTH = 200
"""A longer caller's name is cut: it is a stranger's text on every supervisor's screen."""


def topic_of(agent: str) -> str:
    return f"agent:{agent}"


def call_key(pbx: str, call: str) -> str:
    """A call's key: Linkedids are unique within one PBX only."""
    return f"{pbx}/{call}"


@lru_cache(maxsize=10_000)
def shown_number(number: str) -> str:
    """A number grouped for the eye, in its international form; as it is if it is not E.164."""
    if not number.startswith("+"):
        return number
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def shown_card(card: Document) -> Document:
    """A customer's card whose telephone numbers have a form for the eye beside them."""
    ways = [
        {**way, "shown": shown_number(way["value"])} if way["kind"] == "phone" else way
        for way in card["contact_points"]
    ]
    return {**card, "contact_points": ways}


LANGUAGE_BY_REGION = {
    **dict.fromkeys(("CN", "TW", "HK", "MO", "SG"), "zh"),
    **dict.fromkeys(
        ("ES", "MX", "AR", "CO", "CL", "PE", "VE", "EC", "GT", "CU", "BO", "DO", "HN", "PY", "SV",
         "NI", "CR", "PA", "UY", "PR"),
        "es",
    ),
    **dict.fromkeys(("IR", "AF"), "fa"),
}  # fmt: skip


@lru_cache(maxsize=10_000)
def guessed_language(number: str | None) -> str:
    """The language somebody with this number (E.164) most likely speaks; "en" if unsure."""
    if not number:
        return "en"
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return "en"
    return LANGUAGE_BY_REGION.get(region or "", "en")


def _moment(at: float | None) -> float:
    """The PBX's own time where it gave one, else ours; seconds since 1970."""
    return time.time() if at is None else at


class LiveState:
    """Keeps the hub's topics true to the signals it is given.

    `state_of` and `calls` are those of DeskParts: asked when an agent is first seen, and after a
    PBX link came back.
    """

    def __init__(
        self,
        hub: PushHub,
        state_of: Callable[[str], s.AgentStateChanged],
        calls: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._hub = hub
        self._state_of = state_of
        self._live_calls = calls
        self._calls = hub.topic("calls")
        self._queues = hub.topic("queues", coalesced=True)
        self._agents = hub.topic("agents", coalesced=True)
        self._names: dict[str, str] = {}
        # The callers of each queue in their order, by call key, with the time they joined.
        self._waiting: dict[str, dict[str, float]] = {}
        # Which agents have a call on their screen: the signals of a call's end do not name them.
        self._screens: dict[str, set[str]] = {}
        self.pops = 0
        self._act: dict[type[s.Signal], Callable[[Any], None]] = {
            s.CallStarted: self._started,
            s.CallQueued: self._queued,
            s.CallLeftQueue: self._left_queue,
            s.CallOffered: self._offered,
            s.CallOfferEnded: self._offer_ended,
            s.CallAnswered: self._answered,
            s.CallHeld: self._held,
            s.CallResumed: self._resumed,
            s.CallParked: self._parked,
            s.CallTransferred: self._transferred,
            s.CallMerged: self._merged,
            s.CallEnded: self._ended,
            s.AgentStateChanged: self._agent_changed,
            s.QueueChanged: self._queue_changed,
            s.ScreenPop: self._popped,
            s.PbxLinkChanged: self._link_changed,
        }
        self._take_calls("Started")

    def on_signal(self, signal: s.Signal) -> None:
        """The bus's listener. A signal without documents of its own is ignored."""
        act = self._act.get(type(signal))
        if act is not None:
            act(signal)

    def name_agents(self, names: dict[str, str]) -> None:
        """Every agent by login with their display name, so that all are shown."""
        self._names = dict(names)
        fresh = {}
        for login in names:
            document = self._agent_document(self._state_of(login))
            before = self._agents.documents.get(login)
            # When it began is known from the signal, not from being asked now.
            if before is None or {**document, "since": before["since"]} != before:
                fresh[login] = document
                self.topic_for(login).change("AgentsNamed", None, {"state": document})
        gone = [login for login in self._agents.documents if login not in names]
        self._agents.change("AgentsNamed", None, fresh, gone)

    def name_queues(self, names: Iterable[str]) -> None:
        """Every queue, so that one without news is shown as well."""
        fresh = {
            name: {"queue": name, "waiting": 0, "available": 0, "paused": 0, "busy": 0,
                   "waiting_since": None}
            for name in names
            if name not in self._queues.documents
        }  # fmt: skip
        self._queues.change("QueuesNamed", None, fresh)

    def topic_for(self, agent: str) -> Topic:
        """The agent's own topic, with their state in it from the first moment."""
        topic = self._hub.topic(topic_of(agent))
        if "state" not in topic.documents:
            topic.documents["state"] = self._agent_document(self._state_of(agent))
        return topic

    def call_on_screen(self, agent: str, pbx: str, call: str) -> Document | None:
        """The call as this agent's screen has it, or None: not theirs to write on."""
        return self.topic_for(agent).documents.get("call:" + call_key(pbx, call))

    def pop_on_screen(self, agent: str, pbx: str, call: str) -> Document | None:
        return self.topic_for(agent).documents.get("pop:" + call_key(pbx, call))

    def wrapped_up(self, agent: str, pbx: str, call: str) -> None:
        """The agent is done with the call: it leaves the screen."""
        self._leave_screen("WrappedUp", None, agent, call_key(pbx, call))

    def customer_chosen(self, agent: str, pbx: str, call: str, card: Document) -> None:
        """The agent said who the caller is: every screen with this call shows that card alone."""
        key = call_key(pbx, call)
        for login in self._screens.get(key, {agent}):
            topic = self.topic_for(login)
            pop = topic.documents.get("pop:" + key)
            if pop is not None:
                fresh = {**pop, "matches": [shown_card(card)], "looking_up": False, "chosen": True}
                topic.change("CustomerChosen", None, {"pop:" + key: fresh})

    def restore(self, agent: str, key: str, call: Document, card: Document | None) -> None:
        """Put an ended call back that is not wrapped up; nothing if it is on the screen."""
        topic = self.topic_for(agent)
        if "call:" + key in topic.documents:
            return
        self._screens.setdefault(key, set()).add(agent)
        pop = {
            **{name: call[name] for name in ("pbx", "call", "queue", "caller", "caller_name")},
            "number": None,
            "shown_number": call["shown_caller"],
            "language_guess": guessed_language(call["caller"]),
            "matches": [shown_card(card)] if card else [],
            "looking_up": False,
            "chosen": False,
        }
        topic.change("Restored", None, {"call:" + key: call, "pop:" + key: pop})

    # Calls

    def _started(self, signal: s.CallStarted) -> None:
        document: Document = {
            "pbx": signal.pbx,
            "call": signal.call,
            "direction": signal.direction.value,
            "caller": signal.caller,
            "caller_name": signal.caller_name[:CALLER_NAME_LENGTH],
            "callee": signal.callee,
            "state": "started",
            "queue": "",
            "agent": "",
            "rang": [],
            "started_at": _moment(signal.at),
            "waiting_since": None,
            "answered_at": None,
        }
        self._calls.change(
            "CallStarted", _moment(signal.at), {call_key(signal.pbx, signal.call): document}
        )

    def _queued(self, signal: s.CallQueued) -> None:
        at = _moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._change_call(signal, at, state="queued", queue=signal.queue, waiting_since=at)
        self._waiting.setdefault(signal.queue, {})[key] = at
        self._show_waiting("CallQueued", at, signal.queue)

    def _left_queue(self, signal: s.CallLeftQueue) -> None:
        at = _moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._change_call(signal, at, waiting_since=None)
        if self._waiting.get(signal.queue, {}).pop(key, None) is not None:
            self._show_waiting("CallLeftQueue", at, signal.queue)

    def _offered(self, signal: s.CallOffered) -> None:
        at = _moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        call = self._calls.documents.get(key)
        if call is not None:
            rang = call["rang"]
            who = signal.agent or signal.endpoint
            self._change_call(
                signal,
                at,
                state="ringing" if call["state"] in ("started", "queued") else call["state"],
                rang=rang if who in rang else [*rang, who],
                queue=signal.queue or call["queue"],
            )
        if not signal.agent:
            return
        topic = self.topic_for(signal.agent)
        own = topic.documents.get("call:" + key)
        if own is not None and own["state"] in ("answered", "held"):
            return
        self._put_on_screen(
            "CallOffered",
            at,
            signal.agent,
            key,
            {
                "pbx": signal.pbx,
                "call": signal.call,
                "state": "offered",
                "queue": signal.queue,
                "caller": signal.caller,
                "shown_caller": shown_number(signal.caller),
                "caller_name": call["caller_name"] if call else "",
                "direction": call["direction"] if call else s.Direction.INBOUND.value,
                "endpoint": signal.endpoint,
                "offered_at": at,
                "answered_at": None,
                "ended_at": None,
                "cause": "",
            },
        )

    def _offer_ended(self, signal: s.CallOfferEnded) -> None:
        at = _moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        call = self._calls.documents.get(key)
        who = signal.agent or signal.endpoint
        if call is not None and who in call["rang"]:
            rang = [name for name in call["rang"] if name != who]
            state = call["state"]
            if state == "ringing" and not rang:
                state = "queued" if call["waiting_since"] else "started"
            self._change_call(signal, at, rang=rang, state=state)
        if signal.agent:
            own = self.topic_for(signal.agent).documents.get("call:" + key)
            if own is not None and own["state"] == "offered":
                self._leave_screen("CallOfferEnded", at, signal.agent, key)

    def _answered(self, signal: s.CallAnswered) -> None:
        at = _moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._change_call(
            signal,
            at,
            state="answered",
            agent=signal.agent or signal.endpoint,
            rang=[],
            answered_at=at,
            waiting_since=None,
        )
        if not signal.agent:
            return
        topic = self.topic_for(signal.agent)
        own = topic.documents.get("call:" + key) or {
            "pbx": signal.pbx,
            "call": signal.call,
            "queue": signal.queue,
            "caller": signal.caller,
            "shown_caller": shown_number(signal.caller),
            "caller_name": self._calls.documents.get(key, {}).get("caller_name", ""),
            "direction": self._calls.documents.get(key, {}).get("direction", "inbound"),
            "endpoint": signal.endpoint,
            "offered_at": at,
            "ended_at": None,
            "cause": "",
        }
        fresh = {**own, "state": "answered", "answered_at": own.get("answered_at") or at}
        self._put_on_screen("CallAnswered", at, signal.agent, key, fresh)

    def _held(self, signal: s.CallHeld) -> None:
        self._change_call(signal, _moment(signal.at), state="held")
        self._change_own(signal, signal.endpoint, ("answered",), state="held")

    def _resumed(self, signal: s.CallResumed) -> None:
        self._change_call(signal, _moment(signal.at), state="answered")
        self._change_own(signal, signal.endpoint, ("held",), state="answered")

    def _parked(self, signal: s.CallParked) -> None:
        at = _moment(signal.at)
        self._change_call(signal, at, state="parked", agent="")
        self._change_own(
            signal, signal.endpoint, ("answered", "held"), state="ended", ended_at=at,
            cause="parked",
        )  # fmt: skip

    def _transferred(self, signal: s.CallTransferred) -> None:
        at = _moment(signal.at)
        self._change_own(
            signal, signal.endpoint, ("answered", "held"), state="ended", ended_at=at,
            cause="transferred",
        )  # fmt: skip

    def _merged(self, signal: s.CallMerged) -> None:
        at = _moment(signal.at)
        old = call_key(signal.pbx, signal.merged)
        new = call_key(signal.pbx, signal.call)
        former = self._calls.documents.get(old)
        if former is not None:
            put = {} if new in self._calls.documents else {new: {**former, "call": signal.call}}
            self._calls.change("CallMerged", at, put, [old])
        for callers in self._waiting.values():
            if (since := callers.pop(old, None)) is not None:
                callers.setdefault(new, since)
        for login in self._screens.pop(old, set()):
            topic = self.topic_for(login)
            self._screens.setdefault(new, set()).add(login)
            own = topic.documents.get("call:" + old)
            pop = topic.documents.get("pop:" + old)
            put = {}
            if own is not None and "call:" + new not in topic.documents:
                put["call:" + new] = {**own, "call": signal.call}
            if pop is not None and "pop:" + new not in topic.documents:
                put["pop:" + new] = {**pop, "call": signal.call}
            topic.change("CallMerged", at, put, ["call:" + old, "pop:" + old])

    def _ended(self, signal: s.CallEnded) -> None:
        at = _moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._calls.change("CallEnded", at, {}, [key])
        for queue, callers in self._waiting.items():
            if callers.pop(key, None) is not None:
                self._show_waiting("CallEnded", at, queue)
        for login in list(self._screens.get(key, ())):
            topic = self.topic_for(login)
            own = topic.documents.get("call:" + key)
            if own is None or own["state"] == "offered":
                self._leave_screen("CallEnded", at, login, key)
            elif own["state"] != "ended":
                ended = {**own, "state": "ended", "ended_at": at, "cause": signal.cause}
                topic.change("CallEnded", at, {"call:" + key: ended})

    def _popped(self, signal: s.ScreenPop) -> None:
        self.pops += 1
        key = call_key(signal.pbx, signal.call)
        document = {
            "pbx": signal.pbx,
            "call": signal.call,
            "queue": signal.queue,
            "caller": signal.caller,
            "caller_name": signal.caller_name[:CALLER_NAME_LENGTH],
            "number": signal.number,
            "shown_number": shown_number(signal.number) if signal.number else "",
            "language_guess": guessed_language(signal.number),
            "matches": [shown_card(card) for card in signal.matches],
            "looking_up": signal.looking_up,
            "chosen": False,
        }
        self.topic_for(signal.agent).change(
            "ScreenPop", _moment(signal.at), {"pop:" + key: document}
        )
        self._screens.setdefault(key, set()).add(signal.agent)

    # Agents and queues

    def _agent_changed(self, signal: s.AgentStateChanged) -> None:
        at = _moment(signal.at)
        document = self._agent_document(signal, at)
        before = self._agents.documents.get(signal.agent)
        if before is not None and before["state"] == document["state"]:
            document["since"] = before["since"]
        self._agents.change("AgentStateChanged", at, {signal.agent: document})
        self._hub.topic(topic_of(signal.agent)).change("AgentStateChanged", at, {"state": document})

    def _queue_changed(self, signal: s.QueueChanged) -> None:
        document = {
            "queue": signal.queue,
            "waiting": signal.waiting,
            "available": signal.available,
            "paused": signal.paused,
            "busy": signal.busy,
            "waiting_since": next(iter(self._waiting.get(signal.queue, {}).values()), None),
        }
        self._queues.change("QueueChanged", _moment(signal.at), {signal.queue: document})

    def _link_changed(self, signal: s.PbxLinkChanged) -> None:
        if signal.up:
            self._take_calls("PbxLinkChanged")
            self.name_agents(self._names)

    # The documents

    def _agent_document(self, state: s.AgentStateChanged, at: float | None = None) -> Document:
        return {
            "agent": state.agent,
            "name": self._names.get(state.agent, state.agent),
            "state": state.state.value,
            "reason": state.reason,
            "queues": state.queues,
            "since": at or _moment(state.at),
        }

    def _take_calls(self, event: str) -> None:
        """Make all call documents anew from the rebuilt model; what is not in it has ended."""
        fresh = {call_key(call["pbx"], call["call"]): call for call in self._live_calls()}
        gone = [key for key in self._calls.documents if key not in fresh]
        self._calls.change(event, None, fresh, gone)
        self._waiting = {}
        for key, call in fresh.items():
            if call.get("waiting_since"):
                self._waiting.setdefault(call["queue"], {})[key] = call["waiting_since"]
        for queue in list(self._queues.documents):
            self._show_waiting(event, None, queue)
        for key in [key for key in self._screens if key not in fresh]:
            pbx, _, call_id = key.partition("/")
            self._ended(s.CallEnded(pbx=pbx, call=call_id, cause="", caller="", callee=""))

    def _change_call(self, signal: s.CallSignal, at: float, **values: Any) -> None:
        key = call_key(signal.pbx, signal.call)
        before = self._calls.documents.get(key)
        if before is not None:
            self._calls.change(type(signal).__name__, at, {key: {**before, **values}})

    def _change_own(
        self, signal: s.CallSignal, endpoint: str, states: Sequence[str], **values: Any
    ) -> None:
        """Change the call on the screen of the agent whose phone is `endpoint`."""
        key = call_key(signal.pbx, signal.call)
        for login in self._screens.get(key, ()):
            topic = self.topic_for(login)
            own = topic.documents.get("call:" + key)
            if own is not None and own["endpoint"] == endpoint and own["state"] in states:
                topic.change(
                    type(signal).__name__, _moment(signal.at), {"call:" + key: {**own, **values}}
                )

    def _put_on_screen(
        self, event: str, at: float, agent: str, key: str, document: Document
    ) -> None:
        topic = self.topic_for(agent)
        self._screens.setdefault(key, set()).add(agent)
        over = [
            name
            for name, known in topic.documents.items()
            if name.startswith("call:") and known["state"] == "ended"
        ][:-UNFINISHED_LIMIT]
        gone = [*over, *("pop:" + name.removeprefix("call:") for name in over)]
        topic.change(event, at, {"call:" + key: document}, gone)

    def _leave_screen(self, event: str, at: float | None, agent: str, key: str) -> None:
        screens = self._screens.get(key)
        if screens is not None:
            screens.discard(agent)
            if not screens:
                del self._screens[key]
        self.topic_for(agent).change(event, at, {}, ["call:" + key, "pop:" + key])

    def _show_waiting(self, event: str, at: float | None, queue: str) -> None:
        before = self._queues.documents.get(queue)
        since = next(iter(self._waiting.get(queue, {}).values()), None)
        if before is not None and before["waiting_since"] != since:
            self._queues.change(event, at, {queue: {**before, "waiting_since": since}})
