"""What a PBX is told of agents, queues and menus, from the store's records and the settings.

Owns the translation alone. Refuses to know how a PBX is reached and when it is told.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from crm_store.models import PhoneKind
from crm_store.staff.agents import AgentRecord
from crm_store.staff.queues import QueueRecord
from cti.pbx.configuration import PbxConfiguration, PhoneConfig, PhoneMenusConfig, QueueConfig
from deskbell.settings import PbxSettings

log = logging.getLogger(__name__)

WAITING_MENU = "waiting_menu"
"""Where a queue's key or end leads, beside other queues and voicemail (crm_store.staff.queues)."""


def pbx_configuration(
    pbx: PbxSettings,
    agents: Sequence[AgentRecord],
    all_queues: Sequence[QueueRecord],
    menus: PhoneMenusConfig | None = None,
    called_as: Sequence[str] = (),
) -> PbxConfiguration:
    """What the PBX is told of agents, queues and menus; `called_as` reach the first menu."""
    numbers = {queue.name: queue.number for queue in all_queues}
    main_menu = menus.numbers[0] if menus and menus.numbers else ""
    return PbxConfiguration(
        queues=[_queue_config(queue, numbers) for queue in all_queues],
        phones=[
            PhoneConfig(
                extension=agent.extension,
                agent_name=agent.display_name,
                # Our own Asterisk is given its accounts while it runs, so that a page can have one.
                account_in_file=pbx.mode == "external" and agent.phone is PhoneKind.DESK,
            )
            for agent in agents
            if agent.extension
        ],
        phone_menus=menus,
        inbound_numbers=dict.fromkeys(called_as, main_menu) if main_menu else {},
        trunk_address=pbx.trunk_address,
        trunk_port=pbx.trunk_port,
    )


def _queue_config(queue: QueueRecord, numbers: dict[str, str]) -> QueueConfig:
    exit_number = numbers.get(queue.exit_target, "")
    exit_mailbox = queue.number if queue.exit_target == "voicemail" else ""
    exit_menu = queue.exit_target == WAITING_MENU
    has_exit = bool(exit_number or exit_mailbox or exit_menu)
    if queue.exit_key and not has_exit:
        log.warning("queue %s: key %s leads nowhere: left out", queue.name, queue.exit_key)
    return QueueConfig(
        name=queue.name,
        number=queue.number,
        strategy=queue.strategy,
        ring_seconds=queue.ring_seconds,
        max_wait_seconds=queue.max_wait_seconds,
        overflow_queue=numbers.get(queue.overflow, ""),
        overflow_mailbox=queue.number if queue.overflow == "voicemail" else "",
        overflow_menu=queue.overflow == WAITING_MENU,
        exit_key=queue.exit_key if has_exit else "",
        exit_number=exit_number,
        exit_mailbox=exit_mailbox,
        exit_menu=exit_menu,
        preferred_agent_seconds=queue.preferred_agent_seconds,
    )
