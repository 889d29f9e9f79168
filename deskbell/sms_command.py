"""`deskbell sms`: a customer of the demo writes an SMS, through the demo's outside world.

Owns what is asked of that world, and what is said of its answer.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from rich.console import Console

from crm_store.people.phone_numbers import to_e164
from deskbell import running_demo
from deskbell.failure import CommandFailed
from deskbell.outside.page import HEADER

LONGEST_TEXT = 1_600


def send(sender: str, text: str, folder: Path) -> None:
    """Send the text from that number to the demo kept in `folder`. Raises CommandFailed."""
    number = to_e164(sender, "CN")
    if number is None:
        raise CommandFailed(f"{sender!r} is no telephone number, such as +8613800138000")
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise CommandFailed(f"an SMS has 1 to {LONGEST_TEXT} characters")
    demo = running_demo.running(folder)
    if not demo.outside_url:
        raise CommandFailed("the demo that runs here has no outside world; start it again")
    asyncio.run(_send(demo.outside_url, number, text))
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Sent from {number}. It is in the inbox: {demo.url}/inbox")
    console.print(f"Answers arrive at the customer's telephone: {demo.outside_url}")


async def _send(url: str, number: str, text: str) -> None:
    timeout = aiohttp.ClientTimeout(total=20)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(
                f"{url}/sms", json={"sender": number, "text": text}, headers={HEADER: "command"}
            ) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CommandFailed(f"the demo's outside world does not answer at {url}") from error
    if status != 200:
        raise CommandFailed("Deskbell did not take the message; its log says why")
