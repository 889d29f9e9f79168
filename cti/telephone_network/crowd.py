"""Many calls at once, for load and fault tests: one SIPp for all callers, one for all phones.

Nothing here is steered, and sound is whoever's who lends the ports for it (keypads): it is the
crowd, not the actors (network has those). SIPp's own counters are the record.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cti.telephone_network.network import SipNetwork
from cti.telephone_network.sipp import SipMessage, Sipp, SippFailed, render_scenario

_COUNTERS = {"CurrentCall": "live", "SuccessfulCall(C)": "succeeded", "FailedCall(C)": "failed"}


@dataclass(frozen=True, slots=True)
class CrowdReport:
    """SIPp's counters, up to a second old while it runs."""

    live: int = 0
    succeeded: int = 0
    failed: int = 0


class SipCrowd:
    """Callers of one number and phones that answer at once, around the PBX of `network`.

    All of it ends with the network's block, or with `stop`.
    """

    def __init__(self, network: SipNetwork) -> None:
        self._network = network
        self._callers: Sipp | None = None
        self._statistics: Path | None = None

    async def answer(self, accounts: Mapping[str, str]) -> None:
        """Register a phone for each account (extension → secret); they answer every call."""
        sipp = self._network.sipp(self._network.phone_address)
        await sipp.start(render_scenario("crowd_phones", {}), _ignore, traced=False)
        # A few at a time: each is a process.
        gate = asyncio.Semaphore(4)

        async def register(extension: str, secret: str) -> None:
            async with gate:
                await self._network.register(extension, secret, sipp.port)

        await asyncio.gather(*(register(*account) for account in accounts.items()))

    async def call(
        self,
        to: str,
        count: int,
        *,
        rate: int,
        hold_seconds: float,
        first: str = "+8613800000000",
        media_ports: Sequence[int] = (),
    ) -> None:
        """Begin `count` calls to `to`, `rate` a second, from numbers counting up from `first`.

        Each hangs up `hold_seconds` after its answer; its sound is at its of the `media_ports`,
        nowhere if none are given. Returns when SIPp has begun.
        """
        plus, digits = first[: first.startswith("+")], first.lstrip("+")
        numbers = [f"{plus}{int(digits) + step:0{len(digits)}}" for step in range(count)]
        file = self._network.folder / f"numbers-{time.monotonic_ns()}.csv"
        ports = media_ports or [9] * count
        rows = [f"{number};{port};\n" for number, port in zip(numbers, ports, strict=True)]
        file.write_text("SEQUENTIAL\n" + "".join(rows))
        self._statistics = file.with_suffix(".statistics")
        values: dict[str, object] = {"to": to, "hold_milliseconds": int(hold_seconds * 1000)}
        arguments = ["-inf", str(file), "-m", str(count), "-l", str(count), "-r", str(rate)]
        arguments += ["-trace_stat", "-stf", str(self._statistics), "-fd", "1"]
        self._callers = self._network.sipp(self._network.trunk_address)
        await self._callers.start(
            render_scenario("crowd_callers", values), _ignore, arguments=arguments, traced=False
        )

    def report(self) -> CrowdReport:
        """The callers' counters now."""
        if self._statistics is None or not self._statistics.exists():
            return CrowdReport()
        with self._statistics.open(newline="") as file:
            rows = [row for row in csv.DictReader(file, delimiter=";") if row.get("FailedCall(C)")]
        if not rows:
            return CrowdReport()
        return CrowdReport(**{name: int(rows[-1][column]) for column, name in _COUNTERS.items()})

    async def finish(self, within: float = 120.0) -> CrowdReport:
        """Wait until all calls are over. Raises TimeoutError, or SippFailed when SIPp broke."""
        if self._callers is None:
            raise SippFailed("no calls were begun")
        await asyncio.wait_for(self._callers.ended.wait(), within)
        if self._callers.exit_code not in (0, 1):
            raise SippFailed(
                f"SIPp ended with {self._callers.exit_code}: {self._callers.complaints()}"
            )
        return self.report()

    async def stop(self) -> None:
        """The callers vanish, without a BYE."""
        if self._callers:
            await self._callers.kill()


def _ignore(message: SipMessage) -> None:
    del message
