"""Serve: the service in the foreground, from its start until it is told to stop.

Owns what surrounds a running service: its log, its recording, its failures told in a line. What is
started is service.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

from cti.pbx.embedded import BadConfiguration, PbxFailed
from deskbell import log
from deskbell.event_loop import run
from deskbell.failure import CommandFailed
from deskbell.service import Service
from deskbell.settings import Settings


def serve(settings: Settings, record_ami: Path | None = None) -> None:
    """Run the service until Ctrl-C or SIGTERM; its log goes to standard error."""
    log.set_up(settings.log)
    with contextlib.ExitStack() as files:
        record = None
        if record_ami is not None:
            try:
                record = files.enter_context(record_ami.open("ab", buffering=0))
            except OSError as error:
                raise CommandFailed(f"{record_ami}: {error.strerror}") from None
        with contextlib.suppress(KeyboardInterrupt):
            run(run_service(Service(settings, record_ami=record)))


async def run_service(
    service: Service, when_up: Callable[[Service], Awaitable[None]] | None = None
) -> None:
    """Start, call `when_up`, and run until cancelled; then stop everything.

    Raises CommandFailed when a part can't be started.
    """
    try:
        async with service:
            if when_up is not None:
                await when_up(service)
            _spare_the_loop_long_collections()
            await asyncio.Event().wait()
    except (PbxFailed, BadConfiguration) as error:
        raise CommandFailed(str(error)) from None


def _spare_the_loop_long_collections() -> None:
    """Keep what lives as long as the service out of the garbage collector's sight.

    A full collection walks through a million objects, mostly code and tables: 150 ms in which no
    pop leaves. Young garbage is found as ever, a thousand objects at a time; what has grown old
    since the start is looked at every few hours.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 5, 10_000)
