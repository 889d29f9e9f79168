"""With a hundred calls alive, each part dies in turn; afterwards nothing is wrong, nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from cti.pbx.embedded import EmbeddedPbx
from tests.faults.crowd import (
    TALKER,
    Crowd,
    every_call_has_its_row,
    the_model_equals_asterisk,
)
from tests.faults.cutting_proxy import CuttingProxy
from tests.faults.locked_database import locked
from tests.service_fixtures import (
    CUSTOMER,
    RunningService,
    ami_of,
    either_mall_url,
    mall_pbx,
    mall_template,
    mall_url,
    postgresql_mall,
    until,
)
from tests.store_fixtures import postgresql_server

pytestmark = pytest.mark.asterisk
__all__ = [
    "either_mall_url",
    "mall_template",
    "mall_url",
    "postgresql_mall",
    "postgresql_server",
]

CALLS = 100


@contextlib.asynccontextmanager
async def service_beside_pbx(
    folder: Path, url: str
) -> AsyncIterator[tuple[RunningService, EmbeddedPbx]]:
    """A service that uses a PBX of the test's own."""
    async with (
        await mall_pbx(folder / "pbx", url, desk_phones=True) as pbx,
        RunningService(folder / "service", url, external=pbx) as service,
    ):
        yield service, pbx


def child_named(service: RunningService, name: str) -> psutil.Process:
    """The service's child process whose command line has `name` in it."""
    children = psutil.Process(service.pid).children(recursive=True)
    return next(child for child in children if name in " ".join(child.cmdline()))


async def test_asterisk_killed_and_started_again(tmp_path: Path, mall_url: str) -> None:
    async with (
        RunningService(tmp_path / "service", mall_url) as service,
        service.network() as network,
        Crowd(service, network) as crowd,
    ):
        chief = await service.sign_in("chief")
        await chief.follow("calls", "agents")
        await chief.until(lambda: len(chief.state["calls"]) == CALLS)

        asterisk = child_named(service, "asterisk.conf")
        asterisk.kill()
        await until(lambda: not asterisk.is_running(), what="Asterisk dead")
        await chief.until(lambda: not chief.state["calls"], 40)
        await service.wait_healthy()
        assert child_named(service, "asterisk.conf").pid != asterisk.pid

        # Who served a queue serves it again, without signing in anew, and is rung.
        for login, desk in crowd.desks.items():
            await desk.serves("sales")
            unfinished = [d for d in desk.own.values() if d.get("state") == "ended"]
            assert len(unfinished) == 1, login
            await desk.post(
                "/api/call/wrap-up",
                {
                    "pbx": unfinished[0]["pbx"],
                    "call": unfinished[0]["call"],
                    "disposition": "answered",
                    "note": "cut off",
                },
            )
        await crowd.waiting.vanish()
        await crowd.talking.vanish()
        for phone in crowd.phones.values():
            phone.busy_while_talking = False  # of the call that died, it heard nothing
            await phone.register()
        again = await crowd.call("600", 3, first=20_000)
        for desk in crowd.desks.values():
            await desk.shows_state("on_call")
        await again.hang_up()
        await chief.until(lambda: not chief.state["calls"])
        await chief.close()
        await every_call_has_its_row(
            mall_url, CALLS + 3, {"answered": crowd.talking_count + 6, "abandoned": CALLS - 39}
        )


async def test_the_ami_connection_cut_within_a_message(tmp_path: Path, mall_url: str) -> None:
    async with (
        await mall_pbx(tmp_path / "pbx", mall_url, desk_phones=True) as pbx,
        CuttingProxy(pbx.ami_host, pbx.ami_port) as proxy,
        RunningService(
            tmp_path / "service", mall_url, external=pbx, ami_port=proxy.port
        ) as service,
        service.network() as network,
        ami_of(pbx) as ami,
        Crowd(service, network) as crowd,
    ):
        chief = await service.sign_in("chief")
        await chief.follow("calls")
        await the_model_equals_asterisk(chief, ami, lambda calls: len(calls) == CALLS)
        ended = 0
        # Within a name, within a value, after a line, within the lists of the rebuilding itself.
        for cut, count in enumerate((1_234, 40_001, 777, 3_333), 1):
            proxy.cut_after(count)
            while proxy.cuts < cut:
                await crowd.talking.hang_up(2)
                ended += 2
            await crowd.talking.hang_up(1)
            ended += 1
            await service.wait_healthy()
            truth = await the_model_equals_asterisk(chief, ami)
            assert len(truth) == CALLS - ended
        await crowd.hang_up()
        await the_model_equals_asterisk(chief, ami, lambda calls: not calls)
        await chief.close()
        await every_call_has_its_row(
            mall_url,
            CALLS,
            {"answered": lambda n: n >= 39, "abandoned": lambda n: n > 0},
        )


async def test_the_database_locked_for_ten_seconds(tmp_path: Path, either_mall_url: str) -> None:
    async with (
        service_beside_pbx(tmp_path, either_mall_url) as (service, pbx),
        service.network() as network,
        ami_of(pbx) as ami,
        Crowd(service, network, waiting_count=CALLS - 36) as crowd,
    ):
        chief = await service.sign_in("chief")
        await chief.follow("calls")
        emma = await service.sign_in("emma")
        await emma.follow("agent:emma")
        async with locked(either_mall_url):
            locked_at = time.monotonic()
            placed = time.monotonic()
            new = await network.call(CUSTOMER, TALKER)
            number_at = await emma.pop(lambda pop: pop["number"] == CUSTOMER)
            assert number_at - placed < 3, "the pop waited for the database"
            await new.wait("answered")
            late = await crowd.call("600", 5, first=9_000)
            await crowd.talking.hang_up(6)
            await the_model_equals_asterisk(chief, ami, lambda calls: len(calls) == CALLS)
            await asyncio.sleep(max(0.0, locked_at + 10 - time.monotonic()))
        await emma.pop(lambda pop: [card["name"] for card in pop["matches"]] == ["王芳"])
        await new.hang_up()
        await late.hang_up()
        await crowd.hang_up()
        await the_model_equals_asterisk(chief, ami, lambda calls: not calls)
        await chief.close()
        await emma.close()
        rows = await every_call_has_its_row(
            either_mall_url,
            CALLS + 5,
            {"answered": lambda n: n >= 39, "abandoned": lambda n: n > 0},
        )
        [of_customer] = [call for call in rows.calls if call.caller == CUSTOMER]
        assert (of_customer.outcome, of_customer.agent) == ("answered", "emma")
        [story] = [one for one in rows.interactions if one.call_id == of_customer.id]
        assert story.customer_id is not None


async def test_the_service_killed_and_started_again(tmp_path: Path, mall_url: str) -> None:
    async with (
        service_beside_pbx(tmp_path, mall_url) as (service, pbx),
        service.network() as network,
        ami_of(pbx) as ami,
        Crowd(service, network) as crowd,
    ):
        chief = await service.sign_in("chief")
        await chief.follow("calls")
        before = await the_model_equals_asterisk(chief, ami, lambda calls: len(calls) == CALLS)
        assert list(before.values()).count("talking") == crowd.talking_count + len(crowd.desks)

        await service.kill()
        # Life goes on meanwhile: some hang up, some come.
        await crowd.talking.hang_up(6)
        late = await crowd.call("600", 5, first=9_000)
        await service.start()

        chief = await service.sign_in("chief")
        await chief.follow("calls")
        await the_model_equals_asterisk(chief, ami, lambda calls: len(calls) == CALLS - 1)
        lin = await service.sign_in("lin")
        await lin.follow("agent:lin")
        assert lin.own["state"]["state"] == "on_call"
        assert [d["state"] for k, d in lin.own.items() if k.startswith("call:")] == ["answered"]

        await late.hang_up()
        await crowd.hang_up()
        await the_model_equals_asterisk(chief, ami, lambda calls: not calls)
        await chief.close()
        await lin.close()
        await every_call_has_its_row(
            mall_url,
            CALLS + 5,
            {"answered": lambda n: n >= 39, "abandoned": lambda n: n > 0},
        )
