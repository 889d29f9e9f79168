"""The bench's PBX: an AMI server that replays one recorded call many times a second, on time.

Owns the process `python -m bench.pbx`: it takes its orders as one JSON line on standard input,
says {"port"} when it listens, begins at the line "go", and says at the end when the bytes of each
pop left. It answers actions as Asterisk would, with lists that are true at that moment, and pauses
members when told to. One thread, no event loop: `select` wakes on the microsecond, loops on the
millisecond.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.recorded_call import Names, RecordedCall, names_of, read_recording

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
RECEIVE = 65_536
LATE_S = 0.005
"""A message that leaves later than this is counted: the pace was not true then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What to replay. `seats` are (login, extension), served in turn."""

    recording: str
    calls: int
    per_second: float
    talk_seconds: float
    at_once: bool
    queue: str
    seats: list[tuple[str, str]]
    customers: int
    seed: int = 1


def customer_at(number: int, customers: int, seed: int) -> int:
    """The position of the customer who makes call `number`: anywhere in the crowd, none twice."""
    return (number * 611_953 + seed * 7_919) % customers


@dataclass(slots=True)
class LiveCall:
    names: Names
    filling: dict[bytes, bytes]
    starts: float
    step: int = 0


@dataclass(slots=True)
class Member:
    login: str
    endpoint: str
    paused: bytes = b"0"
    reason: bytes = b""


@dataclass(slots=True)
class Outcome:
    """Nanoseconds of CLOCK_MONOTONIC by call, before the write that holds the pop's message."""

    sent: dict[int, int] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0
    late: int = 0
    latest_s: float = 0.0
    actions: dict[str, int] = field(default_factory=dict)
    most_live: int = 0


class Pbx:
    """One AMI connection's peer: `serve` until every call is over."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        recorded = read_recording(Path(orders.recording), talk_seconds=orders.talk_seconds)
        self.recorded: RecordedCall = recorded.at_once() if orders.at_once else recorded
        self.members = {
            f"PJSIP/{extension}": Member(login, f"PJSIP/{extension}")
            for login, extension in orders.seats
        }
        self.outcome = Outcome()
        self.live: dict[int, LiveCall] = {}
        self._due: list[tuple[float, int]] = []
        self._call_at: dict[str, LiveCall] = {}
        self._waiting = 0
        self._unread = b""
        self._epoch = time.time() - time.monotonic()

    def starts(self) -> list[float]:
        """When each call begins, in seconds from the first: as callers do, by chance."""
        chance = random.Random(self.orders.seed)
        moments, now = [], 0.0
        for _ in range(self.orders.calls):
            moments.append(now)
            now += chance.expovariate(self.orders.per_second)
        scale = (self.orders.calls / self.orders.per_second) / now
        return [moment * scale for moment in moments]

    def serve(self, connection: socket.socket, begin: Any) -> None:
        """Answer actions; from `begin` (a readable file) on, replay. Returns when all is over."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(BANNER)
        starts: deque[tuple[int, float]] = deque()
        sources = [connection, begin]
        finish_at = 0.0
        while True:
            now = time.monotonic()
            wait = 1.0
            if self._due:
                wait = self._due[0][0] - now
            elif finish_at:
                wait = min(wait, finish_at - now)
                if wait <= 0:
                    return
            if wait > 0:
                for source in select.select(sources, (), (), wait)[0]:
                    if source is begin:
                        sources.remove(begin)
                        begin.readline()
                        starts = deque(enumerate(self.starts()))
                        self._start_next(starts, base := time.monotonic() + 0.2)
                        finish_at = base + 1e9
                    elif not self._answer(connection):
                        return
            if self._due and self._due[0][0] <= time.monotonic():
                self._send_due(connection)
                while starts and (not self._due or starts[0][1] + base <= time.monotonic() + 1):
                    self._start_next(starts, base)
                if not self._due and not starts:
                    # The last wrap-ups and what is still to be written.
                    finish_at = time.monotonic() + 4.0

    def _start_next(self, starts: deque[tuple[int, float]], base: float) -> None:
        number, after = starts.popleft()
        login, extension = self.orders.seats[number % len(self.orders.seats)]
        customer = customer_at(number, self.orders.customers, self.orders.seed)
        names = names_of(number, customer, login, extension)
        self.live[number] = LiveCall(names, names.filling(), base + after)
        heapq.heappush(self._due, (base + after, number))

    def _send_due(self, connection: socket.socket) -> None:
        now = time.monotonic()
        chunks: list[bytes] = []
        pops: list[int] = []
        steps = self.recorded.steps
        while self._due and self._due[0][0] <= now:
            due, number = heapq.heappop(self._due)
            call = self.live[number]
            late = now - due
            if late > LATE_S:
                self.outcome.late += 1
            self.outcome.latest_s = max(self.outcome.latest_s, late)
            if call.step == 0:
                self._call_at[call.names.endpoint] = call
                self.outcome.most_live = max(self.outcome.most_live, len(self._call_at))
            elif call.step == self.recorded.pops_at:
                pops.append(number)
            chunks.append(self._message(call))
            call.step += 1
            if call.step < len(steps):
                heapq.heappush(self._due, (call.starts + steps[call.step].after, number))
            else:
                del self.live[number], self._call_at[call.names.endpoint]
        data = b"".join(chunks)
        self.outcome.messages += len(chunks)
        self.outcome.bytes += len(data)
        moment = time.monotonic_ns()
        for number in pops:
            self.outcome.sent[number] = moment
        connection.sendall(data)

    def _message(self, call: LiveCall) -> bytes:
        step = self.recorded.steps[call.step]
        filling = call.filling
        filling[b"at"] = b"%.6f" % (self._epoch + time.monotonic())
        if step.event == "QueueCallerJoin":
            self._waiting += 1
        elif step.event == "QueueCallerLeave":
            self._waiting -= 1
        elif step.event == "QueueMemberStatus":
            member = self.members[call.names.endpoint]
            filling[b"paused"], filling[b"reason"] = member.paused, member.reason
        filling[b"waiting"] = b"%d" % self._waiting
        return step.template % filling

    def _answer(self, connection: socket.socket) -> bool:
        data = connection.recv(RECEIVE)
        if not data:
            return False
        *blocks, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for block in blocks:
            lines = (line.partition(": ") for line in block.decode().split("\r\n"))
            action = {name: value for name, _, value in lines}
            name = action["Action"].lower()
            self.outcome.actions[name] = self.outcome.actions.get(name, 0) + 1
            identity = f"ActionID: {action['ActionID']}\r\n".encode()
            connection.sendall(self._answer_to(name, action, identity))
        return True

    def _answer_to(self, name: str, action: dict[str, str], identity: bytes) -> bytes:
        success = b"Response: Success\r\n" + identity
        if name == "login":
            return (
                success + b"Message: Authentication accepted\r\n\r\n"
                b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"
            )
        if name == "ping":
            return success + b"Ping: Pong\r\nTimestamp: %.6f\r\n\r\n" % time.time()
        if name == "queuepause":
            member = self.members[action["Interface"]]
            member.paused = b"1" if action["Paused"] == "true" else b"0"
            member.reason = action.get("Reason", "").encode()
            return (
                success + b"Message: Interface paused successfully\r\n\r\n"
                b"Event: QueueMemberPause\r\nPrivilege: agent,all\r\n"
                + b"Timestamp: %.6f\r\n" % time.time()
                + self._member(member, b"MemberName: ", b"Interface: ")
            )
        if name == "setvar":
            return success + b"Message: Variable Set\r\n\r\n"
        if name == "corestatus":
            return success + b"CoreStartupDate: 2026-01-01\r\nCoreStartupTime: 00:00:00\r\n\r\n"
        if name == "coreshowchannels":
            return self._list(success, identity, b"CoreShowChannels", self._channels())
        if name == "queuestatus":
            return self._list(success, identity, b"QueueStatus", self._queue_rows())
        if name == "parkedcalls":
            return self._list(success, identity, b"ParkedCalls", [])
        return b"Response: Error\r\n" + identity + b"Message: not here\r\n\r\n"

    def _list(self, success: bytes, identity: bytes, name: bytes, rows: list[bytes]) -> bytes:
        return b"".join(
            (
                success, b"EventList: start\r\nMessage: a list will follow\r\n\r\n",
                *(row[:-2] + identity + b"\r\n" for row in rows),
                b"Event: ", name, b"Complete\r\n", identity, b"EventList: Complete\r\n",
                b"ListItems: %d\r\n\r\n" % len(rows),
            )
        )  # fmt: skip

    def _member(self, member: Member, name: bytes, location: bytes) -> bytes:
        return b"".join(
            (
                b"Queue: ", self.orders.queue.encode(), b"\r\n",
                name, member.login.encode(), b"\r\n", location, member.endpoint.encode(), b"\r\n",
                b"StateInterface: ", member.endpoint.encode(), b"\r\nMembership: dynamic\r\n",
                b"Penalty: 0\r\nCallsTaken: 0\r\nLastCall: 0\r\nLastPause: 0\r\n",
                b"LoginTime: 0\r\nInCall: 0\r\nStatus: ", self._status(member), b"\r\nPaused: ",
                member.paused, b"\r\nPausedReason: ", member.reason, b"\r\nWrapuptime: 0\r\n\r\n",
            )
        )  # fmt: skip

    def _status(self, member: Member) -> bytes:
        """The device's state as app_queue numbers it: ringing, in use, or not in use."""
        state = b"1"
        call = self._call_at.get(member.endpoint)
        for step in self.recorded.steps[: call.step] if call is not None else ():
            if step.event == "Newstate" and step.is_agents:
                state = b"6" if b"ChannelState: 5" in step.template else b"2"
            elif step.event == "Hangup" and step.is_agents:
                state = b"1"
        return state

    def _queue_rows(self) -> list[bytes]:
        queue = self.orders.queue.encode()
        parameters = (
            b"Event: QueueParams\r\nQueue: " + queue + b"\r\nMax: 0\r\nStrategy: ringall\r\n"
            b"Calls: %d\r\nHoldtime: 0\r\nTalkTime: 0\r\n\r\n" % self._waiting
        )
        members = [
            b"Event: QueueMember\r\n" + self._member(member, b"Name: ", b"Location: ")
            for member in self.members.values()
        ]
        entries = [
            b"Event: QueueEntry\r\nQueue: " + queue + b"\r\nPosition: 1\r\nChannel: %(trunk)s\r\n"
            b"Uniqueid: %(linkedid)s\r\nCallerIDNum: %(caller)s\r\nWait: 0\r\n\r\n" % call.filling
            for call in self.live.values()
            if "QueueCallerJoin" in (passed := self._passed(call))
            and "QueueCallerLeave" not in passed
        ]
        return [parameters, *members, *entries]

    def _passed(self, call: LiveCall) -> set[str]:
        return {step.event for step in self.recorded.steps[: call.step]}

    def _channels(self) -> list[bytes]:
        rows = []
        for call in self.live.values():
            passed = self.recorded.steps[: call.step]
            bridged = any(step.event == "BridgeEnter" for step in passed) and not any(
                step.event == "BridgeLeave" for step in passed
            )
            for is_agents, channel, number, identity, application in (
                (False, b"%(trunk)s", b"%(caller)s", b"%(linkedid)s", b"Queue"),
                (True, b"%(phone)s", b"%(extension)s", b"%(agent_id)s", b"AppQueue"),
            ):
                events = [step for step in passed if step.is_agents is is_agents]
                named = [step.event for step in events]
                if "Newchannel" not in named or "Hangup" in named:
                    continue
                states = [step.template for step in events if step.event == "Newstate"]
                state = b"0" if is_agents else b"4"
                if states:
                    state = b"6" if b"ChannelState: 6" in states[-1] else b"5"
                rows.append(
                    (
                        b"Event: CoreShowChannel\r\nChannel: " + channel + b"\r\nChannelState: "
                        + state + b"\r\nCallerIDNum: " + number + b"\r\nContext: from-trunk\r\n"
                        b"Exten: 600\r\nPriority: 2\r\nUniqueid: " + identity
                        + b"\r\nLinkedid: %(linkedid)s\r\nApplication: " + application
                        + b"\r\nApplicationData: \r\nDuration: 00:00:01\r\nBridgeId: "
                        + (b"%(bridge)s" if bridged else b"") + b"\r\n\r\n"
                    ) % call.filling
                )  # fmt: skip
        return rows


def main() -> None:
    orders = Orders(**json.loads(sys.stdin.readline()))
    pbx = Pbx(orders)
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(json.dumps({"port": server.getsockname()[1]}), flush=True)
        connection, _ = server.accept()
        with connection:
            pbx.serve(connection, sys.stdin)
            outcome = pbx.outcome
            print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}))
            sys.stdout.flush()
            sys.stdin.readline()


if __name__ == "__main__":
    main()
