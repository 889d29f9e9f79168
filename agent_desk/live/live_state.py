"""Signals become the documents of the push's topics.

Owns what everybody may see at this moment: the topics `calls`, `queues`, `agents` and `parked`;
each agent's own screen is agent_screens.py's. docs/push.md has each document's form. Runs inside
`bus.publish`, so it only moves dictionaries about: no await, no database. Refuses to know sockets
and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from agent_desk.live.agent_screens import AgentScreens, call_key, moment
from agent_desk.live.caller_display import CALLER_NAME_LENGTH, shown_number
from agent_desk.live.menu_trails import MenuTrails
from agent_desk.live.push import Document, PushHub
from crm_store import signals as s


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
        self._in_spaces = hub.topic("parked")
        self._names: dict[str, str] = {}
        # The callers of each queue in their order, by call key, with the time they joined.
        self._waiting: dict[str, dict[str, float]] = {}
        self._menus = MenuTrails()
        self.screens = AgentScreens(
            hub, self._calls.documents, self._state_document, self._menus.of
        )
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
            s.CallMerged: self._merged,
            s.CallEnded: self._ended,
            s.AgentStateChanged: self._agent_changed,
            s.QueueChanged: self._queue_changed,
            s.PbxLinkChanged: self._link_changed,
        }
        self._take_calls("Started")

    def on_signal(self, signal: s.Signal) -> None:
        """The bus's listener. A signal without documents of its own is ignored."""
        self._menus.on_signal(signal)
        self.screens.on_signal(signal)
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
                self.screens.show_state("AgentsNamed", None, login, document)
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
            "space": "",
            "started_at": moment(signal.at),
            "waiting_since": None,
            "answered_at": None,
        }
        self._calls.change(
            "CallStarted", moment(signal.at), {call_key(signal.pbx, signal.call): document}
        )

    def _queued(self, signal: s.CallQueued) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._change_call(signal, state="queued", queue=signal.queue, waiting_since=at)
        self._waiting.setdefault(signal.queue, {})[key] = at
        self._show_waiting("CallQueued", at, signal.queue)

    def _left_queue(self, signal: s.CallLeftQueue) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._change_call(signal, waiting_since=None)
        if self._waiting.get(signal.queue, {}).pop(key, None) is not None:
            self._show_waiting("CallLeftQueue", at, signal.queue)

    def _offered(self, signal: s.CallOffered) -> None:
        call = self._calls.documents.get(call_key(signal.pbx, signal.call))
        if call is None:
            return
        rang = call["rang"]
        who = signal.agent or signal.endpoint
        self._change_call(
            signal,
            state="ringing" if call["state"] in ("started", "queued", "parked") else call["state"],
            rang=rang if who in rang else [*rang, who],
            queue=signal.queue or call["queue"],
            space="",
        )
        self._leaves_space(signal)

    def _offer_ended(self, signal: s.CallOfferEnded) -> None:
        call = self._calls.documents.get(call_key(signal.pbx, signal.call))
        who = signal.agent or signal.endpoint
        if call is None or who not in call["rang"]:
            return
        rang = [name for name in call["rang"] if name != who]
        state = call["state"]
        if state == "ringing" and not rang:
            state = "queued" if call["waiting_since"] else "started"
        self._change_call(signal, rang=rang, state=state)

    def _answered(self, signal: s.CallAnswered) -> None:
        self._change_call(
            signal,
            state="answered",
            agent=signal.agent or signal.endpoint,
            rang=[],
            answered_at=moment(signal.at),
            waiting_since=None,
            space="",
        )
        self._leaves_space(signal)

    def _held(self, signal: s.CallHeld) -> None:
        self._change_call(signal, state="held")

    def _resumed(self, signal: s.CallResumed) -> None:
        self._change_call(signal, state="answered")

    def _parked(self, signal: s.CallParked) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        before = self._calls.documents.get(key)
        if before is None:
            return
        document = self._parked_document(before, signal.space, before["agent"], at)
        self._in_spaces.change("CallParked", at, {key: document})
        self._change_call(signal, state="parked", agent="", space=signal.space)

    def _parked_document(self, call: Document, space: str, parked_by: str, at: float) -> Document:
        outbound = call["direction"] == s.Direction.OUTBOUND
        caller = call["callee" if outbound else "caller"]
        name = self.screens.customer_name(call_key(call["pbx"], call["call"]))
        return {
            "pbx": call["pbx"],
            "call": call["call"],
            "space": space,
            "caller": caller,
            "shown_caller": shown_number(caller),
            "caller_name": name or call["caller_name"],
            "queue": call["queue"],
            "parked_by": parked_by,
            "since": at,
        }

    def _leaves_space(self, signal: s.CallSignal) -> None:
        key = call_key(signal.pbx, signal.call)
        if key in self._in_spaces.documents:
            self._in_spaces.change(type(signal).__name__, moment(signal.at), {}, [key])

    def _merged(self, signal: s.CallMerged) -> None:
        old = call_key(signal.pbx, signal.merged)
        new = call_key(signal.pbx, signal.call)
        former = self._calls.documents.get(old)
        if former is not None:
            known = self._calls.documents.get(new)
            put = {new: {**former, "call": signal.call}} if known is None else {}
            if known is not None and known["state"] == "held" and former["state"] == "answered":
                put = {new: {**known, "state": "answered"}}
            self._calls.change("CallMerged", moment(signal.at), put, [old])
        for callers in self._waiting.values():
            if (since := callers.pop(old, None)) is not None:
                callers.setdefault(new, since)

    def _ended(self, signal: s.CallEnded) -> None:
        at = moment(signal.at)
        key = call_key(signal.pbx, signal.call)
        self._calls.change("CallEnded", at, {}, [key])
        self._leaves_space(signal)
        for queue, callers in self._waiting.items():
            if callers.pop(key, None) is not None:
                self._show_waiting("CallEnded", at, queue)

    # Agents and queues

    def _agent_changed(self, signal: s.AgentStateChanged) -> None:
        at = moment(signal.at)
        document = self._agent_document(signal, at)
        before = self._agents.documents.get(signal.agent)
        if before is not None and all(before[key] == document[key] for key in ("state", "reason")):
            document["since"] = before["since"]
        self._agents.change("AgentStateChanged", at, {signal.agent: document})
        self.screens.show_state("AgentStateChanged", at, signal.agent, document)

    def _queue_changed(self, signal: s.QueueChanged) -> None:
        document = {
            "queue": signal.queue,
            "waiting": signal.waiting,
            "available": signal.available,
            "paused": signal.paused,
            "busy": signal.busy,
            "waiting_since": next(iter(self._waiting.get(signal.queue, {}).values()), None),
        }
        self._queues.change("QueueChanged", moment(signal.at), {signal.queue: document})

    def _link_changed(self, signal: s.PbxLinkChanged) -> None:
        if signal.up:
            self._take_calls("PbxLinkChanged")
            self.name_agents(self._names)

    # The documents

    def _state_document(self, agent: str) -> Document:
        return self._agent_document(self._state_of(agent))

    def _agent_document(self, state: s.AgentStateChanged, at: float | None = None) -> Document:
        return {
            "agent": state.agent,
            "name": self._names.get(state.agent, state.agent),
            "state": state.state.value,
            "reason": state.reason,
            "queues": state.queues,
            "since": state.since or at or moment(state.at),
            "ends_at": state.ends_at,
            "extendable_seconds": state.extendable_seconds,
            "next_pause": state.next_pause,
            "missed_rings": state.missed_rings,
        }

    def _take_calls(self, event: str) -> None:
        """Make all call documents anew from the rebuilt model; what is not in it has ended."""
        fresh = {call_key(call["pbx"], call["call"]): call for call in self._live_calls()}
        gone = [key for key in self._calls.documents if key not in fresh]
        self._calls.change(event, None, fresh, gone)
        self._take_spaces(event, fresh)
        self._waiting = {}
        for key, call in fresh.items():
            if call.get("waiting_since"):
                self._waiting.setdefault(call["queue"], {})[key] = call["waiting_since"]
        for queue in list(self._queues.documents):
            self._show_waiting(event, None, queue)
        self.screens.only_keep(fresh)

    def _take_spaces(self, event: str, calls: dict[str, Document]) -> None:
        parked = {key: call for key, call in calls.items() if call["state"] == "parked"}
        known = self._in_spaces.documents
        fresh = {
            key: self._parked_document(call, call["space"], call["parked_by"], moment(None))
            for key, call in parked.items()
            if key not in known
        }
        self._in_spaces.change(event, None, fresh, [key for key in known if key not in parked])

    def _change_call(self, signal: s.CallSignal, **values: Any) -> None:
        key = call_key(signal.pbx, signal.call)
        before = self._calls.documents.get(key)
        if before is not None:
            event = type(signal).__name__
            self._calls.change(event, moment(signal.at), {key: {**before, **values}})

    def _show_waiting(self, event: str, at: float | None, queue: str) -> None:
        before = self._queues.documents.get(queue)
        since = next(iter(self._waiting.get(queue, {}).values()), None)
        if before is not None and before["waiting_since"] != since:
            self._queues.change(event, at, {queue: {**before, "waiting_since": since}})
