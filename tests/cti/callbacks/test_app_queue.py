"""The model of app_queue, by which fairness is shown, is as Asterisk's own."""

from __future__ import annotations

import pytest

from crm_store.models import Segment
from cti.ami.link import AmiLink
from cti.telephone_network.network import SipNetwork
from tests.asterisk_fixtures import SharedPbx, agent_phone
from tests.cti.callbacks.queue_day import AppQueue, Caller, Customer
from tests.cti.callbacks.room import eventually
from tests.service_fixtures import ami_of

pytestmark = pytest.mark.asterisk

QUEUE = "crowd"
PLACES = (400, 700, 400, 2_000_000_000, 399, 700, 0, 2_147_483_647, 401)
"""In the order of joining."""


async def line_of(link: AmiLink) -> list[str]:
    listed = await link.list_action("QueueStatus", Queue=QUEUE)
    entries = [row for row in listed if row["Event"] == "QueueEntry"]
    return [row["CallerIDNum"] for row in sorted(entries, key=lambda row: int(row["Position"]))]


def served_by_the_model(numbers: list[str]) -> list[str]:
    queue = AppQueue()
    for number, place in zip(numbers, PLACES, strict=True):
        queue.join(Caller(int(number), Customer(0, Segment.ORDINARY, 0), place))
    order = []
    while (caller := queue.next()) is not None:
        order.append(str(caller.number))
        caller.taken = True
    return order


async def test_the_higher_place_is_first_then_who_joined_first(
    pbx: SharedPbx, sip_network: SipNetwork
) -> None:
    numbers = [f"86138001380{number:02}" for number in range(len(PLACES))]
    expected = served_by_the_model(numbers)
    async with ami_of(pbx.embedded) as link:
        for joined, (number, place) in enumerate(zip(numbers, PLACES, strict=True), start=1):
            await link.action(
                "Originate",
                Channel=f"Local/{number}@callback-place",
                Context="callback-customer",
                Exten=number,
                Priority=1,
                Timeout=600_000,
                Variable=[
                    f"__DESKBELL_CUSTOMER={number}",
                    f"__DESKBELL_QUEUE={QUEUE}",
                    f"__DESKBELL_PLACE={place}",
                ],
            )

            async def is_in_line(so_many: int = joined) -> bool:
                return len(await line_of(link)) == so_many

            await eventually(is_in_line, f"{number} waits")
        assert await line_of(link) == expected

        # As many as agents are free are offered at once: the first of the line, one to each.
        phones = [await agent_phone(sip_network, pbx, name) for name in ("1001", "1002")]
        for name in ("1001", "1002"):
            await pbx.join_queue(name, QUEUE)
        ringing = [await phone.next_call() for phone in phones]
        assert sorted(call.caller for call in ringing) == sorted(expected[:2])

        await sip_network.subscriber(answer_after=0.0)
        first, second = sorted(ringing, key=lambda call: expected.index(call.caller))
        other, last = (phones[ringing.index(call)] for call in (first, second))
        await pbx.console(f"queue remove member PJSIP/{other.user} from {QUEUE}")
        await other.answer(first)
        await first.hang_up()
        for number in expected[1:]:
            call = await last.next_call()
            assert call.caller == number
            await last.answer(call)
            await call.hang_up()
