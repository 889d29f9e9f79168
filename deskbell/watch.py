"""Watch: a running service's calls, queues and agents, live in the terminal.

Owns the tables. The connection is desk_client.py's; the wall between what a supervisor may see and
what not is the desk's.
"""

from __future__ import annotations

import sys
import time
import unicodedata
from typing import Any, TextIO

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deskbell.desk_client import DeskClient, DeskUnreachable
from deskbell.event_loop import run
from deskbell.failure import CommandFailed

TOPICS = ("calls", "queues", "agents")
STATE_STYLES = {
    "available": "green",
    "ringing": "bold yellow",
    "on_call": "bold cyan",
    "wrap_up": "magenta",
    "paused": "yellow",
    "offline": "dim",
    "queued": "yellow",
    "answered": "cyan",
    "offered": "bold yellow",
}


def watch(url: str, login: str, password: str, *, once: bool, as_json: bool) -> None:
    """Show the desk at `url` until Ctrl-C, or what is now with `once`. Raises CommandFailed."""
    console = Console(highlight=False)

    async def show() -> None:
        client = DeskClient(url, login, password)
        await client.sign_in()
        if as_json:
            await watch_frames(client, sys.stdout, once=once)
        elif once:
            await watch_once(client, console)
        else:
            await watch_live(client, console)

    try:
        run(show())
    except DeskUnreachable as error:
        raise CommandFailed(f"{error}; is the service running?") from None


async def watch_frames(client: DeskClient, output: TextIO, *, once: bool = False) -> None:
    """Print every frame as a line of JSON; with `once`, only the first snapshot of each topic."""
    missing = set(TOPICS)

    def show(frame: dict[str, Any]) -> bool:
        if not once or "snapshot" in frame:
            output.write(orjson.dumps(frame).decode() + "\n")
            output.flush()
        missing.discard(str(frame.get("topic")))
        return once and not missing

    await client.follow(TOPICS, show, reconnect=not once)


async def watch_once(client: DeskClient, console: Console) -> None:
    """Print the tables as they are now."""
    missing = set(TOPICS)

    def complete(frame: dict[str, Any]) -> bool:
        missing.discard(str(frame.get("topic")))
        return not missing

    await client.follow(TOPICS, complete, reconnect=False)
    console.print(tables(client, time.time()))


async def watch_live(client: DeskClient, console: Console) -> None:
    """Keep the tables on the screen true until cancelled."""
    with Live(
        get_renderable=lambda: tables(client, time.time()),
        console=console,
        screen=console.is_terminal,
        refresh_per_second=4,
    ):
        await client.follow(TOPICS, lambda frame: False)


def tables(client: DeskClient, now: float) -> Group:
    """Calls, queues and agents as they are known; `now` in seconds since 1970."""
    state = client.state
    where = Text.assemble(
        ("Deskbell ", "bold"),
        client.url,
        "  ",
        ("connected", "green") if client.connected else ("not connected: ", "bold red"),
        "" if client.connected else client.cause,
    )
    return Group(
        where,
        _calls(list(state["calls"].values()), now),
        _queues(list(state["queues"].values()), now),
        _agents(list(state["agents"].values()), now),
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=True, box=None)
    for column in columns:
        table.add_column(column, header_style="dim", overflow="ellipsis", no_wrap=True)
    return table


def _calls(calls: list[dict[str, Any]], now: float) -> Table:
    table = _table(f"Calls: {len(calls)}", "caller", "name", "to", "state", "queue", "agent", "for")
    for call in sorted(calls, key=lambda call: call.get("started_at") or 0):
        since = call.get("answered_at") or call.get("waiting_since") or call.get("started_at")
        table.add_row(
            _safe(call["caller"]),
            _safe(call["caller_name"]),
            _safe(call["callee"]),
            _state(call["state"]),
            _safe(call["queue"]),
            _safe(call["agent"] or " ".join(call.get("rang") or ())),
            _duration(since, now),
        )
    return table


def _queues(queues: list[dict[str, Any]], now: float) -> Table:
    columns = ("queue", "waiting", "longest wait", "available", "busy", "paused")
    table = _table(f"Queues: {len(queues)}", *columns)
    for queue in sorted(queues, key=lambda queue: str(queue["queue"])):
        table.add_row(
            _safe(queue["queue"]),
            Text(str(queue["waiting"]), "bold yellow" if queue["waiting"] else ""),
            _duration(queue.get("waiting_since"), now) if queue["waiting"] else Text(""),
            *(Text(str(queue[column])) for column in ("available", "busy", "paused")),
        )
    return table


def _agents(agents: list[dict[str, Any]], now: float) -> Table:
    table = _table(f"Agents: {len(agents)}", "agent", "name", "state", "reason", "queues", "for")
    for agent in sorted(agents, key=lambda agent: str(agent["agent"])):
        here = agent["state"] != "offline"
        table.add_row(
            _safe(agent["agent"]),
            _safe(agent["name"]),
            _state(agent["state"]),
            _safe(agent["reason"]),
            _safe(" ".join(agent["queues"])),
            _duration(agent.get("since"), now) if here else Text(""),
        )
    return table


def _state(state: str) -> Text:
    return Text(state.replace("_", " "), STATE_STYLES.get(state, ""))


def _safe(value: object) -> Text:
    """What others sent, without characters that steer a terminal or turn the line around."""
    return Text("".join(c if unicodedata.category(c)[0] != "C" else "�" for c in str(value)))


def _duration(since: float | None, now: float) -> Text:
    if since is None:
        return Text("")
    minutes, seconds = divmod(max(int(now - since), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return Text(f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}")
