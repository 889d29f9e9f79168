"""Files of a person who was erased, deleted by a job: whatever dies meanwhile, none stays.

Owns that job, written in the transaction in which the rows go. Which files these are is told by
whoever erases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from crm_store.database import Transaction
from crm_store.jobs import Job, Subscribers

HANDLER = "erased_files"


class ErasedFiles:
    """`forget_calls` deletes what the PBX keeps of calls (PBX, Linkedid)."""

    def __init__(
        self, forget_calls: Callable[[Sequence[tuple[str, str]]], Awaitable[None]]
    ) -> None:
        self._forget_calls = forget_calls

    def subscribe(self, subscribers: Subscribers) -> None:
        subscribers.add(HANDLER, self._delete)

    async def _delete(self, job: Job) -> None:
        await asyncio.to_thread(_unlink, [Path(file) for file in job.data["files"]])
        await self._forget_calls([(pbx, call) for pbx, call in job.data["calls"]])


async def write_job(
    transaction: Transaction,
    customer_id: int,
    files: Sequence[Path],
    calls: Sequence[tuple[str, str]],
) -> None:
    """Have these deleted once the transaction is committed. Raises LookupError where no handler
    runs."""
    data = {"files": [str(file) for file in files], "calls": [list(call) for call in calls]}
    await transaction.schedule(HANDLER, f"{HANDLER}:{customer_id}", data)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
