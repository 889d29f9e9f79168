"""Serve: the service in the foreground, from its start to a clean stop on Ctrl-C or SIGTERM.

Owns signals and the event loop. What is started is service.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from cti.pbx import BadConfiguration, PbxFailed
from deskbell import log
from deskbell.failure import CommandFailed
from deskbell.service import Service
from deskbell.settings import Settings

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop: waking up for one AMI event costs 37 µs there and 62 on asyncio's own loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def serve(settings: Settings, record_ami: Path | None = None) -> None:
    """Run the service until it is told to stop; its log goes to standard error."""
    log.set_up(settings.log)
    with contextlib.ExitStack() as files:
        record = None
        if record_ami is not None:
            try:
                record = files.enter_context(record_ami.open("ab", buffering=0))
            except OSError as error:
                raise CommandFailed(f"{record_ami}: {error.strerror}") from None
        await run_service(Service(settings, record_ami=record), _nothing)


async def _nothing(service: Service) -> None:
    return None


async def run_service(service: Service, when_up: Callable[[Service], Awaitable[None]]) -> None:
    """Start, call `when_up`, wait for SIGINT or SIGTERM, stop. A second signal stops at once.

    Raises CommandFailed when a part can't be started.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        told.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    starting = asyncio.ensure_future(_start(service, when_up))
    waiting = asyncio.ensure_future(told.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await told.wait()
    except (PbxFailed, BadConfiguration) as error:
        raise CommandFailed(str(error)) from None
    finally:
        for task in (starting, waiting):
            task.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await service.stop()


async def _start(service: Service, when_up: Callable[[Service], Awaitable[None]]) -> None:
    await service.start()
    await when_up(service)
