"""The phone menus, fitted to the desk's editor: trying a tree out, and speaking what was published.

Owns which PBX rings for a trial, and what its refusals are called towards the desk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from agent_desk.parts import AgentActionRefused, MenuControl
from crm_store.database import Database
from crm_store.people import customers
from cti.ami.link import AmiError
from cti.switchboard import Switchboard
from deskbell.menus import Menus
from ivr.conversation.conversation import Step
from ivr.conversation.line import Line
from ivr.menus.tree import Tree

RING_MS = 30_000


def menu_control(
    menus: Menus, boards: Mapping[str, Switchboard], database: Database
) -> MenuControl:
    """The control; `boards` are asked in their order, the first that can ring a phone does."""

    async def try_out(
        line: Line, code: str, tree: Tree, number: str, report: Callable[[Step], None]
    ) -> None:
        known = await customers.find_by_phone(database, number) if number else []
        await menus.phone_menus.try_out(
            line,
            code,
            tree,
            customer=known[0] if len(known) == 1 else None,
            number=number,
            report=report,
            recordings=Path(tempfile.gettempdir()),
        )

    async def call(extension: str, code: str, tree: Tree) -> None:
        problem: AmiError | None = None
        for board in boards.values():
            try:
                await board.action(
                    "Originate",
                    Channel=f"Local/{extension}@agent-leg",
                    Context="trial",
                    Exten=menus.phone_menus.offer_trial(code, tree),
                    Priority=1,
                    Timeout=RING_MS,
                    CallerID='"Deskbell" <>',
                )
            except AmiError as error:
                problem = error
            else:
                return
        raise AgentActionRefused(
            f"The telephone system did not do it ({problem}). Try again in a moment."
        )

    return MenuControl(try_out=try_out, call=call, published=menus.phone_menus.reload)
