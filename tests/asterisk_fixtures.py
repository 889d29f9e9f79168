"""Fixtures for tests on a real Asterisk with SIPp as the telephone network.

`pbx` is one Asterisk per test process, in a thread of its own so that its log is read while tests
run. `sip_network` is fresh for each test, and leaves no call, phone or queue member behind.
A test that kills its Asterisk starts one of its own with `pbx_settings`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cti.pbx.embedded import (
    EmbeddedPbx,
    MenuConfig,
    PbxConfiguration,
    PbxSettings,
    PhoneConfig,
    QueueConfig,
)
from cti.telephone_network.network import SipNetwork, SipPhone

T = TypeVar("T")

# Short times, so that every way through a queue ends within seconds.
CONFIGURATION = PbxConfiguration(
    queues=(
        QueueConfig(name="service", number="600"),
        QueueConfig(
            name="sales", number="601", strategy="rrmemory", exit_key="0", exit_number="1003"
        ),
        QueueConfig(name="linear", number="602", strategy="linear", ring_seconds=2),
        QueueConfig(
            name="hasty", number="603", ring_seconds=1, max_wait_seconds=2, overflow_queue="604"
        ),
        QueueConfig(
            name="second", number="604", ring_seconds=5, max_wait_seconds=3, overflow_mailbox="604"
        ),
        QueueConfig(name="short", number="605", ring_seconds=1, max_wait_seconds=2),
        QueueConfig(name="quick", number="606", ring_seconds=1),
        QueueConfig(name="closed", number="607", wait_without_agents=False),
        QueueConfig(name="crowd", number="608", strategy="rrmemory", max_wait_seconds=3600),
    ),
    phones=tuple(
        PhoneConfig(extension=extension, agent_name=name)
        for extension, name in (
            ("1001", "Lin"),
            ("1002", "王芳"),
            ("1003", "Sara"),
            ("1004", "Omid"),
            ("1005", "José"),
        )
    ),
    menus=(MenuConfig(number="610", choices={"1": "600", "2": "601"}, wait_seconds=3),),
    inbound_numbers={"+862155550600": "600"},
    direct_ring_seconds=5,
    outbound_ring_seconds=10,
    parking_seconds=8,
    qualify_seconds=1,
)


class SharedPbx:
    """An EmbeddedPbx in a thread of its own; its async methods can be awaited from any loop."""

    def __init__(self, settings: PbxSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asterisk", daemon=True)
        self._thread.start()
        self.embedded = self._now(self._make(settings))
        self._now(self.embedded.start())

    @staticmethod
    async def _make(settings: PbxSettings) -> EmbeddedPbx:
        return EmbeddedPbx(settings)

    def _now(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.embedded, name)

    async def console(self, command: str) -> str:
        return await self._there(self.embedded.console(command))

    async def reload(self, queues: Any, phones: Any) -> None:
        await self._there(self.embedded.reload(queues, phones))

    async def join_queue(self, extension: str, queue: str, name: str = "") -> None:
        """Sign the phone in to a queue, by the console (AMI's QueueAdd does the same)."""
        names = {phone.extension: phone.agent_name for phone in self.configuration.phones}
        member = name or names[extension]
        answer = await self.console(
            f'queue add member PJSIP/{extension} to {queue} penalty 0 as "{member}" '
            f"state_interface PJSIP/{extension}"
        )
        assert "Added interface" in answer, answer

    async def clean(self) -> None:
        """No call, no queue member, no forwarding."""
        while "0 active channels" not in (await self.console("core show channels count")):
            await self.console("channel request hangup all")
            await asyncio.sleep(0.05)
        for queue in self.configuration.queues:
            for phone in self.configuration.phones:
                await self.console(f"queue remove member PJSIP/{phone.extension} from {queue.name}")

    def close(self) -> None:
        self._now(self.embedded.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPbx]:
    shared = SharedPbx(
        PbxSettings(folder=tmp_path_factory.mktemp("pbx"), configuration=CONFIGURATION)
    )
    yield shared
    shared.close()


@pytest.fixture
def pbx_settings(tmp_path: Path) -> PbxSettings:
    """For a test that needs an Asterisk of its own: `async with EmbeddedPbx(pbx_settings)`."""
    return PbxSettings(folder=tmp_path / "pbx", configuration=CONFIGURATION)


@pytest.fixture
async def sip_network(pbx: SharedPbx) -> AsyncIterator[SipNetwork]:
    async with network_of(pbx) as network:
        yield network
    await pbx.clean()


def network_of(pbx: Any) -> SipNetwork:
    """A telephone network around an EmbeddedPbx or SharedPbx."""
    return SipNetwork(
        (pbx.sip_address, pbx.sip_port),
        pbx.trunk_address,
        pbx.trunk_port,
        phone_address=pbx.sip_address,
    )


async def agent_phone(
    network: SipNetwork,
    pbx: Any,
    extension: str,
    **behaviour: Any,
) -> SipPhone:
    """Agent `extension`'s phone, registered; `behaviour` as SipNetwork.phone's keywords."""
    return await network.phone(*pbx.phone_account(extension), **behaviour)
