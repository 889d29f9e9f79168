"""The bench's desks: a thousand websockets clients that speak the push protocol as the pages do.

Owns the process `python -m bench.desks`: orders as one JSON line on standard input, {"connected"}
when every desk has its snapshots, results at the line "stop". Every frame of every topic is read
and applied; each pop is held against the plan: the right agent, the right customer, once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from dataclasses import dataclass, field

import orjson
import uvloop
from websockets.asyncio.client import connect

from agent_desk.live.push_state import Document, PushState
from bench.pbx import customer_at
from bench.recorded_call import call_number
from crm_store.sample.crowd import crowd_number

CONNECTING_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Where the desk is, and who sits at it: `seats` are (login, session token)."""

    port: int
    pbx: str
    seats: list[tuple[str, str]]
    customers: int
    seed: int


@dataclass(slots=True)
class Outcome:
    """Nanoseconds of CLOCK_MONOTONIC by call: `pops` as it first came, `cards` with its card."""

    pops: dict[int, int] = field(default_factory=dict)
    cards: dict[int, int] = field(default_factory=dict)
    without_card_first: int = 0
    wrong: int = 0
    twice: int = 0
    gaps: int = 0
    frames: int = 0
    bytes: int = 0


class Desks:
    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.outcome = Outcome()
        self.connected = 0
        self.all_connected = asyncio.Event()
        self._gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def sit(self, position: int) -> None:
        """One desk, from its connection to the end of the run."""
        login, token = self.orders.seats[position]
        own = f"agent:{login}"
        topics = [own, "queues", "agents"]
        state = PushState()
        outcome = self.outcome
        async with self._gate:
            socket = await connect(
                f"ws://127.0.0.1:{self.orders.port}/push",
                additional_headers={"Cookie": f"deskbell_session={token}"},
                compression=None,
                proxy=None,
                max_size=None,
            )
            await socket.send(orjson.dumps({"subscribe": topics}).decode())
            while min(state.number_of(topic) for topic in topics) < 0:
                state.apply(orjson.loads(await socket.recv(decode=False)))
        self.connected += 1
        if self.connected == len(self.orders.seats):
            self.all_connected.set()
        async with socket:
            while True:
                text = await socket.recv(decode=False)
                moment = time.monotonic_ns()
                outcome.frames += 1
                outcome.bytes += len(text)
                frame = orjson.loads(text)
                if "error" in frame:
                    raise RuntimeError(frame["error"])
                gap = state.apply(frame)
                if gap is not None:
                    outcome.gaps += 1
                    await socket.send(orjson.dumps({"resync": gap}).decode())
                if frame.get("event") == "ScreenPop":
                    for key, document in frame["set"].items():
                        if key.startswith("pop:"):
                            self._take_pop(position, document, moment)

    def _take_pop(self, position: int, pop: Document, moment: int) -> None:
        outcome = self.outcome
        number = call_number(pop["call"])
        customer = customer_at(number, self.orders.customers, self.orders.seed)
        if number in outcome.cards:
            outcome.twice += 1
        outcome.pops.setdefault(number, moment)
        if pop["looking_up"]:
            outcome.without_card_first += 1
            return
        if (
            number % len(self.orders.seats) != position
            or pop["pbx"] != self.orders.pbx
            or pop["number"] != crowd_number(customer)
            or [card["reference"] for card in pop["matches"]] != [f"CROWD-{customer}"]
        ):
            outcome.wrong += 1
            return
        outcome.cards.setdefault(number, moment)


async def run() -> None:
    orders = Orders(**json.loads(await asyncio.to_thread(sys.stdin.readline)))
    desks = Desks(orders)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desks.sit(position)) for position in range(len(orders.seats))]
        await desks.all_connected.wait()
        # A pause of this process is not the service's: its garbage waits till the end.
        gc.collect()
        gc.freeze()
        gc.disable()
        print(json.dumps({"connected": desks.connected}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        outcome = desks.outcome
        print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}), flush=True)
        for task in tasks:
            task.cancel()


def main() -> None:
    uvloop.run(run())


if __name__ == "__main__":
    main()
