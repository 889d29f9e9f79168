"""The outbox: what waits there goes out, each message once.

Owns the carriers, one for each channel that has a sender, and what wakes them. Nothing depends on
this process: rows are the truth, and what a killed one was sending is known by its lease.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Mapping, Sequence

from channels.attachments import AttachmentFiles
from channels.carrier import Carrier, Figures
from channels.senders import Sender
from crm_store.database import Database
from crm_store.facts import Fact, MessageWanted
from crm_store.models import Channel


class Outbox:
    """Carries what waits, by each channel's sender, until `run` is cancelled.

    `lease_s` is how long a killed process's messages stay untouched; a living one prolongs it.
    `longest_send_s` is how long a sender may take over one message, after which nobody knows.
    `poll_s` is the longest wait between looks at the table: other processes write there too.
    A quiet stop lets what is on its way arrive for at most `longest_stop_s`.
    """

    def __init__(
        self,
        database: Database,
        files: AttachmentFiles,
        senders: Mapping[Channel, Sender],
        *,
        lease_s: float = 120.0,
        longest_send_s: float = 300.0,
        poll_s: float = 1.0,
        longest_stop_s: float = 8.0,
    ) -> None:
        worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.figures = {channel: Figures() for channel in senders}
        self._carriers = [
            Carrier(
                database,
                files,
                sender,
                self.figures[channel],
                channel=channel,
                worker=worker,
                lease_s=lease_s,
                longest_send_s=longest_send_s,
                poll_s=poll_s,
                longest_stop_s=longest_stop_s,
            )
            for channel, sender in senders.items()
        ]
        self._database = database

    async def run(self) -> None:
        """Carry until cancelled. Never raises of itself; closes the senders."""
        unheard = self._database.listen(self._heard)
        try:
            await asyncio.gather(*(carrier.run() for carrier in self._carriers))
        finally:
            unheard()

    def wake(self) -> None:
        """Look at the table now."""
        for carrier in self._carriers:
            carrier.wake.set()

    def _heard(self, facts: Sequence[Fact]) -> None:
        wanted = {fact.channel for fact in facts if isinstance(fact, MessageWanted)}
        for carrier in self._carriers:
            if carrier.channel.value in wanted:
                carrier.wake.set()
