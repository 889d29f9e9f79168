"""The agents' own screens: the topics `agent:<login>`.

Owns which calls and pops stand on whose screen, from the first ring or from dialling until the
wrap-up is done, also when calls merge or go on to somebody else; what was said to a colleague alone
needs no wrap-up. Runs inside `bus.publish`: this is the path of the pop.
Refuses to know the floor's lists (live_state.py) and the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_desk.live.caller_display import (
    CALLER_NAME_LENGTH,
    guessed_language,
    shown_card,
    shown_number,
)
from agent_desk.live.push import Document, PushHub, Topic
from crm_store import signals as s

NOT_RECORDED: Document = {"recording": "off", "recorded_since": None}

UNFINISHED_LIMIT = 5
"""Wrap-ups an agent may leave unfinished on the screen; the oldest goes first (not its history)."""


def topic_of(agent: str) -> str:
    return f"agent:{agent}"


def call_key(pbx: str, call: str) -> str:
    """A call's key: Linkedids are unique within one PBX only."""
    return f"{pbx}/{call}"


def moment(at: float | None) -> float:
    """The PBX's own time where it gave one, else ours; seconds since 1970."""
    return time.time() if at is None else at


class AgentScreens:
    """Every agent's topic. `calls` are the live calls' documents by key; `state_of` gives an
    agent's own state document when they are first seen, `menu_of` (PBX, call) what the caller did
    in the phone menu."""

    def __init__(
        self,
        hub: PushHub,
        calls: Mapping[str, Document],
        state_of: Callable[[str], Document],
        menu_of: Callable[[str, str], Document | None],
    ) -> None:
        self._hub = hub
        self._menu_of = menu_of
        self._calls = calls
        self._state_of = state_of
        # Which agents have a call on their screen: the signals of a call's end do not name them.
        self._screens: dict[str, set[str]] = {}
        # Calls that became part of another one: pages may still ask for them by their former key.
        self._became: dict[str, str] = {}
        # The calls whose sound is being kept, with the state and since when.
        self._recordings: dict[str, tuple[str, float | None]] = {}
        # Whom each agent is about to call: the number and the card it was clicked on.
        self._expected: dict[str, tuple[str, Document]] = {}
        self.pops = 0
        self._act: dict[type[s.Signal], Callable[[Any], None]] = {
            s.CallStarted: self._dialled,
            s.ScreenPop: self._popped,
            s.CallOffered: self._offered,
            s.CallOfferEnded: self._offer_ended,
            s.CallAnswered: self._answered,
            s.CallQueued: self._queued,
            s.CallHeld: self._held,
            s.CallResumed: self._resumed,
            s.CallParked: self._parked,
            s.CallTransferred: self._transferred,
            s.CallLeft: self._left,
            s.RecordingChanged: self._recording_changed,
            s.CallMerged: self._merged,
            s.CallEnded: self._ended,
        }

    def on_signal(self, signal: s.Signal) -> None:
        act = self._act.get(type(signal))
        if act is not None:
            act(signal)

    def topic_for(self, agent: str) -> Topic:
        """The agent's own topic, with their state in it from the first moment."""
        topic = self._hub.topic(topic_of(agent))
        if "state" not in topic.documents:
            topic.documents["state"] = self._state_of(agent)
        return topic

    def show_state(self, event: str, at: float | None, agent: str, document: Document) -> None:
        """The agent's own state became this."""
        self._hub.topic(topic_of(agent)).change(event, at, {"state": document})

    def call_on_screen(self, agent: str, pbx: str, call: str) -> Document | None:
        """The call as this agent's screen has it, or None: not theirs to write on. One that has
        merged into another is that one."""
        key = call_key(pbx, call)
        return self.topic_for(agent).documents.get("call:" + self._became.get(key, key))

    def pop_on_screen(self, agent: str, pbx: str, call: str) -> Document | None:
        return self.topic_for(agent).documents.get("pop:" + call_key(pbx, call))

    def customers_of(self, agent: str) -> set[int]:
        """The customers (ids) whose cards are on this agent's screen."""
        documents = self.topic_for(agent).documents
        pops = [one for key, one in documents.items() if key.startswith("pop:")]
        return {int(card["id"]) for pop in pops for card in pop["matches"]}

    def expect_customer(self, agent: str, number: str, card: Document) -> None:
        """The agent's next call to `number` is to this customer, whoever else has it."""
        self._expected[agent] = (number, card)

    def customer_name(self, key: str) -> str:
        """Who is at the other end, where a screen is sure of it; else ""."""
        for login in self._screens.get(key, ()):
            pop = self.topic_for(login).documents.get("pop:" + key)
            if pop is not None and len(pop["matches"]) == 1:
                return str(pop["matches"][0]["name"])
        return ""

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
            "menu": self._menu_of(call["pbx"], call["call"]),
            "callback_asked_at": None,
        }
        topic.change("Restored", None, {"call:" + key: call, "pop:" + key: pop})

    def only_keep(self, live: Mapping[str, Document]) -> None:
        """After a rebuild of the calls: those that are not among them have ended meanwhile."""
        for key in [key for key in self._screens if key not in live]:
            pbx, _, call = key.partition("/")
            self._ended(s.CallEnded(pbx=pbx, call=call, cause="", caller="", callee=""))

    def _dialled(self, signal: s.CallStarted) -> None:
        """The agent's own phone dials. Its own number is where it takes a leg of its own back."""
        if not signal.agent or signal.callee == signal.endpoint.partition("/")[2]:
            return
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        dialling = {
            **self._fresh(signal, at),
            "state": "dialling",
            "caller": signal.callee,
            "shown_caller": shown_number(signal.callee),
            "caller_name": "",
            "direction": signal.direction.value,
        }
        self._put_on_screen("CallStarted", at, signal.agent, key, dialling)

    def _popped(self, signal: s.ScreenPop) -> None:
        self.pops += 1
        key = call_key(signal.pbx, signal.call)
        menu = self._menu_of(signal.pbx, signal.call)
        guess = guessed_language(signal.number)
        document = {
            "pbx": signal.pbx,
            "call": signal.call,
            "queue": signal.queue,
            "caller": signal.caller,
            "caller_name": signal.caller_name[:CALLER_NAME_LENGTH],
            "number": signal.number,
            "shown_number": shown_number(signal.number) if signal.number else "",
            "language_guess": menu["language"] if menu else guess,
            "matches": [shown_card(card) for card in signal.matches],
            "looking_up": signal.looking_up,
            "chosen": False,
            "menu": menu,
            "callback_asked_at": signal.callback_asked_at,
        }
        number, card = self._expected.get(signal.agent, (None, None))
        if card is not None and number == signal.number:
            document |= {"matches": [shown_card(card)], "looking_up": False, "chosen": True}
            if not signal.looking_up:
                del self._expected[signal.agent]
        self.topic_for(signal.agent).change(
            "ScreenPop", moment(signal.at), {"pop:" + key: document}
        )
        self._screens.setdefault(key, set()).add(signal.agent)

    def _offered(self, signal: s.CallOffered) -> None:
        if not signal.agent:
            return
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        own = self.topic_for(signal.agent).documents.get("call:" + key)
        if own is not None and own["state"] in ("answered", "held"):
            return
        self._put_on_screen("CallOffered", at, signal.agent, key, self._fresh(signal, at))

    def _offer_ended(self, signal: s.CallOfferEnded) -> None:
        if not signal.agent:
            return
        key = call_key(signal.pbx, signal.call)
        own = self.topic_for(signal.agent).documents.get("call:" + key)
        if own is not None and own["state"] == "offered":
            self._leave_screen("CallOfferEnded", moment(signal.at), signal.agent, key)

    def _answered(self, signal: s.CallAnswered) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        answered: Document = {"state": "answered", "ended_at": None, "cause": ""}
        for login in self._screens.get(key, ()):
            topic = self.topic_for(login)
            own = topic.documents.get("call:" + key)
            if own is not None and own["state"] == "dialling":
                put = {"call:" + key: {**own, **answered, "answered_at": at}}
                topic.change("CallAnswered", at, put)
        if not signal.agent:
            return
        own = self.topic_for(signal.agent).documents.get("call:" + key) or self._fresh(signal, at)
        if own["state"] not in ("answered", "held"):
            fresh = {**own, **answered, "answered_at": own["answered_at"] or at}
            self._put_on_screen("CallAnswered", at, signal.agent, key, fresh)

    def _held(self, signal: s.CallHeld) -> None:
        self._change_own(signal, signal.endpoint, ("answered",), state="held")

    def _resumed(self, signal: s.CallResumed) -> None:
        self._change_own(signal, signal.endpoint, ("held",), state="answered")

    def _parked(self, signal: s.CallParked) -> None:
        self._is_over_for(signal, signal.endpoint, "parked")

    def _queued(self, signal: s.CallQueued) -> None:
        """Whoever waits talks to nobody: a lost phone's caller is back in the queue."""
        key = call_key(signal.pbx, signal.call)
        for login in list(self._screens.get(key, ())):
            own = self.topic_for(login).documents.get("call:" + key)
            if own is not None and own["state"] in ("answered", "held"):
                self._end_on_screen("CallQueued", moment(signal.at), login, key, "left")

    def _transferred(self, signal: s.CallTransferred) -> None:
        self._is_over_for(signal, signal.endpoint, "transferred")

    def _left(self, signal: s.CallLeft) -> None:
        self._is_over_for(signal, signal.endpoint, "left")

    def _is_over_for(self, signal: s.CallSignal, endpoint: str, cause: str) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        for login in list(self._screens.get(key, ())):
            own = self.topic_for(login).documents.get("call:" + key)
            if own is not None and own["endpoint"] == endpoint:
                self._end_on_screen(type(signal).__name__, at, login, key, cause)

    def _end_on_screen(self, event: str, at: float, agent: str, key: str, cause: str) -> None:
        """The call is over for this agent; what nobody outside took part in needs no wrap-up."""
        topic = self.topic_for(agent)
        own = topic.documents.get("call:" + key)
        if own is not None and own["state"] == "ended":
            return
        talked = own is not None and own["state"] in ("answered", "held")
        if own is None or not talked or own["direction"] == s.Direction.INTERNAL:
            self._leave_screen(event, at, agent, key)
        else:
            ended = {**own, "state": "ended", "ended_at": at, "cause": cause, **NOT_RECORDED}
            topic.change(event, at, {"call:" + key: ended})

    def _recording_changed(self, signal: s.RecordingChanged) -> None:
        key = call_key(signal.pbx, signal.call)
        self._recordings[key] = (signal.state, signal.since)
        if signal.state == "off":
            del self._recordings[key]
        for login in self._screens.get(key, ()):
            topic = self.topic_for(login)
            own = topic.documents.get("call:" + key)
            if own is not None and own["state"] != "ended":
                fresh = {**own, **self._recorded(key)}
                topic.change("RecordingChanged", moment(signal.at), {"call:" + key: fresh})

    def _recorded(self, key: str) -> Document:
        state, since = self._recordings.get(key, ("off", None))
        return {"recording": state, "recorded_since": since}

    def _merged(self, signal: s.CallMerged) -> None:
        old = call_key(signal.pbx, signal.merged)
        new = call_key(signal.pbx, signal.call)
        if old in self._recordings:
            self._recordings.setdefault(new, self._recordings.pop(old))
        facts = self._facts_of_both(old, new)
        pops = [self._any_document("pop:", key) for key in (new, old)]
        # Who has a number is the customer; a colleague has none.
        pop = next((p for p in pops if p and p["number"]), pops[0] or pops[1])
        for login in self._screens.get(old, set()) | self._screens.get(new, set()):
            topic = self.topic_for(login)
            documents = topic.documents
            former, known = documents.get("call:" + old), documents.get("call:" + new)
            put: dict[str, Document] = {}
            own = known or former
            if own is not None:
                # Whoever held this call to speak in the other one speaks in both now.
                goes_on = former is not None and known is not None and former["state"] == "answered"
                goes_on = goes_on and own["state"] == "held"
                state = "answered" if goes_on else own["state"]
                put["call:" + new] = {**own, **facts, "call": signal.call, "state": state}
                put["call:" + new] |= self._recorded(new) if state != "ended" else {}
            if pop is not None and (own is not None or "pop:" + old in documents):
                put["pop:" + new] = {**pop, "call": signal.call}
            put = {name: value for name, value in put.items() if documents.get(name) != value}
            gone = [name for name in ("call:" + old, "pop:" + old) if name in documents]
            if put or gone:
                topic.change("CallMerged", moment(signal.at), put, gone)
        seen_by = self._screens.pop(old, set()) | self._screens.get(new, set())
        if seen_by:
            self._screens[new] = seen_by
            self._became |= {key: new for key, known in self._became.items() if known == old}
            self._became[old] = new

    def _facts_of_both(self, old: str, new: str) -> Document:
        """Of two calls that are one now, what the customer's one says of itself."""
        found = [self._any_document("call:", key) for key in (new, old)]
        known = [one for one in found if one is not None]
        outside = [one for one in known if one["direction"] != s.Direction.INTERNAL]
        chosen = next(iter(outside or known), None)
        live = self._calls.get(new)
        if not outside and live is not None and live["direction"] != s.Direction.INTERNAL:
            other = "callee" if live["direction"] == s.Direction.OUTBOUND else "caller"
            return {
                "queue": live["queue"],
                "caller": live[other],
                "shown_caller": shown_number(live[other]),
                "caller_name": live["caller_name"],
                "direction": live["direction"],
            }
        names = ("queue", "caller", "shown_caller", "caller_name", "direction")
        return {} if chosen is None else {name: chosen[name] for name in names}

    def _any_document(self, kind: str, key: str) -> Document | None:
        """The document of a call from whichever screen has it."""
        topics = (self.topic_for(login) for login in self._screens.get(key, ()))
        return next((t.documents[kind + key] for t in topics if kind + key in t.documents), None)

    def _ended(self, signal: s.CallEnded) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._recordings.pop(key, None)
        for login in list(self._screens.get(key, ())):
            self._end_on_screen("CallEnded", at, login, key, signal.cause)

    def _fresh(self, signal: s.CallOffered | s.CallAnswered | s.CallStarted, at: float) -> Document:
        """A call's document at its first appearance on a screen."""
        call = self._calls.get(call_key(signal.pbx, signal.call))
        return {
            "pbx": signal.pbx,
            "call": signal.call,
            "state": "offered",
            "queue": "" if isinstance(signal, s.CallStarted) else signal.queue,
            "caller": signal.caller,
            "shown_caller": shown_number(signal.caller),
            "caller_name": call["caller_name"] if call else "",
            "direction": call["direction"] if call else s.Direction.INBOUND.value,
            "endpoint": signal.endpoint,
            "offered_at": at,
            "answered_at": None,
            "ended_at": None,
            "cause": "",
            **self._recorded(call_key(signal.pbx, signal.call)),
        }

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
                    type(signal).__name__, moment(signal.at), {"call:" + key: {**own, **values}}
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
        for name in over:
            self._forget(agent, name.removeprefix("call:"))
        topic.change(event, at, {"call:" + key: document}, gone)

    def _leave_screen(self, event: str, at: float | None, agent: str, key: str) -> None:
        self._forget(agent, key)
        self.topic_for(agent).change(event, at, {}, ["call:" + key, "pop:" + key])

    def _forget(self, agent: str, key: str) -> None:
        """The call is on this agent's screen no more."""
        screens = self._screens.get(key)
        if screens is not None:
            screens.discard(agent)
            if not screens:
                del self._screens[key]
                for former in [old for old, new in self._became.items() if new == key]:
                    del self._became[former]
