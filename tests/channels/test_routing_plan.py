from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.routing import Present, Waiting, plan
from crm_store.contacts.conversation_lists import InHand

pytestmark = pytest.mark.unit

LIN = Present(login="lin", queues={"service": 0}, chats_at_once=2, written_at_once=3)
MAI = replace(LIN, login="mai")


def chat(number: int, **values: object) -> Waiting:
    return replace(
        Waiting(id=number, queue="service", is_chat=True, priority=1000 - number), **values
    )


def test_who_waits_first_gets_somebody_first() -> None:
    waiting = [chat(3), chat(1), chat(2)]
    assert plan(waiting, [LIN]) == [(1, "lin"), (2, "lin")]


def test_the_agent_who_last_served_them_comes_before_all_others() -> None:
    busy = replace(MAI, has=InHand(1, 2))
    assert plan([chat(1, last_agent="mai")], [LIN, busy]) == [(1, "mai")]
    full = replace(MAI, has=InHand(2, 0))
    assert plan([chat(1, last_agent="mai")], [LIN, full]) == [(1, "lin")]


def test_skill_comes_before_load_and_load_before_idleness() -> None:
    skilled = replace(MAI, has=InHand(1, 0), queues={"service": 0})
    unskilled = replace(LIN, queues={"service": 2})
    assert plan([chat(1)], [unskilled, skilled]) == [(1, "mai")]
    assert plan([chat(1)], [replace(LIN, has=InHand(0, 1)), MAI]) == [(1, "mai")]
    assert plan([chat(1)], [replace(LIN, idle_since=50), replace(MAI, idle_since=9)]) == [
        (1, "mai")
    ]


def test_what_was_not_opened_goes_to_the_next_and_round_again() -> None:
    assert plan([chat(1, passed={"lin"})], [LIN, MAI]) == [(1, "mai")]
    # Mai has no room and has not passed yet: she is waited for.
    assert plan([chat(1, passed={"lin"})], [LIN, replace(MAI, has=InHand(2, 0))]) == []
    assert plan([chat(1, passed={"lin", "mai"})], [LIN, MAI]) == [(1, "lin")]


def test_chats_and_the_rest_have_room_of_their_own() -> None:
    full_of_mails = replace(LIN, has=InHand(0, 3))
    assert plan([chat(1)], [full_of_mails]) == [(1, "lin")]
    assert plan([chat(1, is_chat=False)], [full_of_mails]) == []


AGENTS = st.lists(
    st.builds(
        Present,
        login=st.sampled_from("abcdef"),
        queues=st.dictionaries(st.sampled_from(["q1", "q2", "q3"]), st.integers(0, 2)),
        chats_at_once=st.integers(0, 3),
        written_at_once=st.integers(0, 3),
        has=st.builds(InHand, st.integers(0, 2), st.integers(0, 2)),
        idle_since=st.floats(0, 10),
    ),
    unique_by=lambda agent: agent.login,
    max_size=6,
)
CONVERSATIONS = st.lists(
    st.builds(
        Waiting,
        id=st.integers(1, 50),
        queue=st.sampled_from(["q1", "q2", "q3"]),
        is_chat=st.booleans(),
        priority=st.integers(0, 5),
        last_agent=st.sampled_from(["", *"abcdef"]),
        passed=st.frozensets(st.sampled_from("abcdef"), max_size=2),
    ),
    unique_by=lambda one: one.id,
    max_size=25,
)


@given(CONVERSATIONS, AGENTS)
def test_no_choice_is_unfair(waiting: list[Waiting], present: list[Present]) -> None:
    chosen = dict(plan(waiting, present))
    by_id = {one.id: one for one in waiting}
    agents = {agent.login: agent for agent in present}
    given_to: Counter[tuple[str, bool]] = Counter()
    for conversation_id, login in chosen.items():
        one, agent = by_id[conversation_id], agents[login]
        assert one.queue in agent.queues
        given_to[login, one.is_chat] += 1

    def room(agent: Present, is_chat: bool) -> int:
        had = agent.has.chats if is_chat else agent.has.others
        most = agent.chats_at_once if is_chat else agent.written_at_once
        return most - had - given_to[agent.login, is_chat]

    for login, is_chat in given_to:
        assert room(agents[login], is_chat) >= 0
    for one in waiting:
        if one.id in chosen:
            continue
        # Nobody waits while somebody who may serve them has room ...
        serving = [agent for agent in present if one.queue in agent.queues]
        unseen = [agent for agent in serving if agent.login not in one.passed]
        for agent in unseen or serving:
            assert room(agent, one.is_chat) <= 0
        # ... and nobody who came later has taken that room from them.
        for later_id, login in chosen.items():
            later = by_id[later_id]
            if (-later.priority, later.id) > (-one.priority, one.id):
                agent = agents[login]
                could = one.queue in agent.queues and one.is_chat is later.is_chat
                assert not (could and login not in one.passed)


@given(st.integers(0, 40), st.integers(1, 5))
def test_equal_agents_get_equal_work(conversations: int, many: int) -> None:
    present = [replace(LIN, login=f"agent{number}", chats_at_once=100) for number in range(many)]
    shares = Counter(login for _, login in plan([chat(n) for n in range(conversations)], present))
    counts = [shares[agent.login] for agent in present]
    assert sum(counts) == conversations
    assert max(counts) - min(counts) <= 1
