"""Signals in the order a PBX makes them, for tests that need whole calls: every kind occurs."""

from __future__ import annotations

from typing import Any

from crm_store import signals as s

START = 1_795_255_200.0
PBX = "main"

CARD: dict[str, Any] = {
    "id": 7,
    "name": "王芳 <b>",
    "segment": "vip",
    "language": "zh",
    "contact_points": [],
    "cards": [],
    "interactions": [],
}


def pop(agent: str = "lin", call: str = "1.1", **values: Any) -> s.ScreenPop:
    return s.ScreenPop(
        **{
            "pbx": PBX,
            "call": call,
            "at": START,
            "agent": agent,
            "endpoint": f"PJSIP/{agent}",
            "queue": "sales",
            "caller": "13800138000",
            "caller_name": "",
            "number": "+8613800138000",
            "matches": (CARD,),
            **values,
        }
    )


def state(agent: str, to: s.AgentState, **values: Any) -> s.AgentStateChanged:
    return s.AgentStateChanged(
        **{"agent": agent, "endpoint": f"PJSIP/{agent}", "state": to, "at": START, **values}
    )


def queue_call(call: str = "1.1", agents: tuple[str, ...] = ("lin", "maria")) -> list[s.Signal]:
    """A queue call that rings all, is answered by the first, held, transferred to the second,
    parked, and ends."""
    first, second = agents
    common: dict[str, Any] = {"pbx": PBX, "call": call}

    def at(seconds: float) -> float:
        return START + seconds

    def offer(agent: str, t: float) -> list[s.Signal]:
        return [
            pop(agent, call, at=at(t), matches=(), looking_up=True),
            s.CallOffered(
                **common, at=at(t), endpoint=f"PJSIP/{agent}", agent=agent, queue="sales",
                caller="13800138000", callee="600",
            ),
            state(agent, s.AgentState.RINGING, at=at(t), queues=("sales",)),
            pop(agent, call, at=at(t + 0.1)),
        ]  # fmt: skip

    def answer(agent: str, t: float) -> list[s.Signal]:
        return [
            s.CallAnswered(
                **common, at=at(t), endpoint=f"PJSIP/{agent}", agent=agent, queue="sales",
                caller="13800138000", callee="600",
            ),
            state(agent, s.AgentState.ON_CALL, at=at(t), queues=("sales",)),
        ]  # fmt: skip

    return [
        s.CallStarted(
            **common, at=at(0), direction=s.Direction.INBOUND, caller="13800138000",
            caller_name="<img src=x onerror=alert(1)>", callee="600",
        ),
        s.CallerRecognised(**common, at=at(0), number="+8613800138000", matches=(CARD,)),
        s.CallQueued(**common, at=at(1), queue="sales", caller="13800138000", position=1),
        s.QueueChanged(pbx=PBX, at=at(1), queue="sales", waiting=1, available=2, paused=0, busy=0),
        *offer(first, 2),
        *offer(second, 2),
        s.CallLeftQueue(**common, at=at(5), queue="sales", cause="answered"),
        *answer(first, 5),
        s.CallOfferEnded(
            **common, at=at(5), endpoint=f"PJSIP/{second}", agent=second, queue="sales",
            cause="answered_elsewhere",
        ),
        state(second, s.AgentState.AVAILABLE, at=at(5), queues=("sales",)),
        s.CallHeld(**common, at=at(9), endpoint=f"PJSIP/{first}"),
        s.CallResumed(**common, at=at(12), endpoint=f"PJSIP/{first}"),
        *offer(second, 13),
        *answer(second, 15),
        s.CallTransferred(
            **common, at=at(16), endpoint=f"PJSIP/{first}", target=f"PJSIP/{second}",
            cause="attended",
        ),
        state(first, s.AgentState.WRAP_UP, at=at(16), queues=("sales",)),
        s.CallMerged(**common, at=at(17), merged=call + "9"),
        s.CallParked(**common, at=at(20), endpoint=f"PJSIP/{second}", space="701"),
        s.CallEnded(**common, at=at(25), cause="Normal Clearing", caller="1", callee="600"),
        s.CallSummary(
            **common, at=at(25), direction=s.Direction.INBOUND, outcome=s.Outcome.ANSWERED,
            queue="sales", rang=[], answered_by="PJSIP/lin", transferred_to=None,
            keyed="", wait_s=4.0, talk_s=20.0, caller="1",
            callee="600", started_at=at(0), ended_at=at(25),
        ),
        s.QueueChanged(pbx=PBX, at=at(26), queue="sales", waiting=0, available=2, paused=0, busy=0),
        s.PbxLinkChanged(pbx=PBX, at=at(27), up=False, cause="cut"),
        s.PbxLinkChanged(pbx=PBX, at=at(28), up=True),
    ]  # fmt: skip


def merged_call() -> list[s.Signal]:
    """Two calls that Asterisk joins into the first: the second one's screen follows."""
    return [
        s.CallStarted(
            pbx=PBX, call=call, at=START, direction=s.Direction.INBOUND, caller="1",
            callee="600",
        )
        for call in ("3.1", "3.2")
    ] + [
        s.CallQueued(pbx=PBX, call="3.2", at=START, queue="sales", caller="1", position=1),
        s.CallOffered(
            pbx=PBX, call="3.2", at=START, endpoint="PJSIP/lin", agent="lin", queue="sales",
            caller="1",
        ),
        pop("lin", "3.2"),
        s.CallMerged(pbx=PBX, call="3.1", merged="3.2", at=START),
        s.CallAnswered(
            pbx=PBX, call="3.1", at=START, endpoint="PJSIP/lin", agent="lin", caller="1",
        ),
        s.CallEnded(pbx=PBX, call="3.1", at=START, cause="", caller="1", callee="600"),
    ]  # fmt: skip


def declined_call() -> list[s.Signal]:
    """Offered, declined, abandoned in the queue, by a withheld caller."""
    common: dict[str, Any] = {"pbx": PBX, "call": "2.1", "at": START}
    return [
        s.CallStarted(**common, direction=s.Direction.INBOUND, caller="", callee="600"),
        s.CallQueued(**common, queue="sales", caller="", position=1),
        pop("lin", "2.1", caller="", number=None, matches=()),
        s.CallOffered(**common, endpoint="PJSIP/lin", agent="lin", queue="sales", caller=""),
        s.CallOfferEnded(
            **common, endpoint="PJSIP/lin", agent="lin", queue="sales", cause="declined"
        ),
        s.CallLeftQueue(**common, queue="sales", cause="abandoned"),
        s.CallEnded(**common, cause="Normal Clearing", caller="", callee="600"),
    ]


def dialled_call(call: str = "5.1", answered: bool = True) -> list[s.Signal]:
    """Lin calls a customer out there, who answers or not."""
    common: dict[str, Any] = {"pbx": PBX, "call": call, "at": START}
    answer = s.CallAnswered(
        **common, endpoint="PJSIP/trunk", agent="lin", caller="1001", callee="+8613800138000",
        direction=s.Direction.OUTBOUND,
    )  # fmt: skip
    return [
        pop("lin", call, queue="", caller="+8613800138000"),
        s.CallStarted(
            **common, direction=s.Direction.OUTBOUND, caller="1001", caller_name="Lin",
            callee="+8613800138000", endpoint="PJSIP/lin", agent="lin",
        ),
        *([answer] if answered else []),
        s.CallEnded(**common, cause="Normal Clearing", caller="1001", callee="+8613800138000"),
    ]  # fmt: skip


def menu_call() -> list[s.Signal]:
    """A caller shows by a card who they are, presses on to an agent, hears a fax tone meanwhile."""
    common: dict[str, Any] = {"pbx": PBX, "call": "6.1", "at": START}
    step: dict[str, Any] = {"place": "points", "language": "zh"}
    return [
        s.CallStarted(**common, direction=s.Direction.INBOUND, caller="", callee="610"),
        s.MenuEntered(**common, language="en", menu="main"),
        s.MenuStep(**common, **step, heard="请输入会员卡号。", keyed=""),
        s.MenuStep(**common, **step, heard="", keyed="•" * 16),
        s.CallerIdentified(**common, customer_id=CARD["id"], by="card"),
        s.CallerRecognised(**common, number=None, matches=(CARD,)),
        s.MenuLeft(**common, to="sales"),
        s.FaxArrived(**common, pages=1),
        s.CallQueued(**common, queue="sales", caller="", position=1),
        pop("lin", "6.1", caller="", number=None),
        s.CallOffered(**common, endpoint="PJSIP/lin", agent="lin", queue="sales", caller=""),
        s.CallEnded(**common, cause="Normal Clearing", caller="", callee="610"),
    ]


def conference_call() -> list[s.Signal]:
    """Lin talks to a customer, asks Maria on a second line, joins all three, and leaves them."""
    first: dict[str, Any] = {"pbx": PBX, "call": "4.1", "at": START}
    second: dict[str, Any] = {"pbx": PBX, "call": "4.2", "at": START}
    return [
        s.CallStarted(
            **first, direction=s.Direction.INBOUND, caller="13800138000", callee="600"
        ),
        pop("lin", "4.1"),
        s.CallAnswered(
            **first, endpoint="PJSIP/lin", agent="lin", queue="sales", caller="13800138000"
        ),
        s.RecordingChanged(**first, state="on", since=START),
        s.CallHeld(**first, endpoint="PJSIP/lin"),
        s.CallStarted(
            **second, direction=s.Direction.INTERNAL, caller="1001", callee="1002",
            endpoint="PJSIP/lin", agent="lin",
        ),
        s.CallOffered(**second, endpoint="PJSIP/maria", agent="maria", caller="1001"),
        s.CallAnswered(
            **second, endpoint="PJSIP/maria", agent="maria", caller="1001",
            direction=s.Direction.INTERNAL,
        ),
        s.CallMerged(**first, merged="4.2"),
        s.RecordingChanged(**first, state="paused", since=START),
        s.CallLeft(**first, endpoint="PJSIP/lin", agent="lin"),
        s.RecordingChanged(**first, state="off"),
        s.CallEnded(**first, cause="Normal Clearing", caller="13800138000", callee="600"),
    ]  # fmt: skip
