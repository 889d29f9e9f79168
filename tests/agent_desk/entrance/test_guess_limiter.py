"""The limit on guesses, on a clock of the test's own."""

from __future__ import annotations

import pytest

from agent_desk.entrance.guess_limiter import (
    FAILURES_OF_ACCOUNT,
    FAILURES_OF_ACCOUNT_AT_ADDRESS,
    FAILURES_OF_ADDRESS,
    MOST_REMEMBERED,
    WINDOW_S,
    GuessLimiter,
)

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> GuessLimiter:
    return GuessLimiter(clock)


def test_five_failures_of_one_account_at_one_address_close_it_for_the_window(
    limiter: GuessLimiter, clock: Clock
) -> None:
    for _ in range(FAILURES_OF_ACCOUNT_AT_ADDRESS):
        assert limiter.wait_s("lin", "10.0.0.1") == 0
        limiter.begins("lin", "10.0.0.1")
    assert limiter.wait_s("lin", "10.0.0.1") == WINDOW_S
    assert limiter.wait_s("lin", "10.0.0.2") == 0
    assert limiter.wait_s("maria", "10.0.0.1") == 0
    clock.now = WINDOW_S
    assert limiter.wait_s("lin", "10.0.0.1") == 0


def test_many_addresses_against_one_account_do_not_lock_out_who_was_there_before(
    limiter: GuessLimiter,
) -> None:
    limiter.begins("lin", "10.0.0.1")
    limiter.succeeded("lin", "10.0.0.1")
    for number in range(FAILURES_OF_ACCOUNT):
        limiter.begins("lin", f"203.0.113.{number}")
    assert limiter.wait_s("lin", "198.51.100.1") > 0
    assert limiter.wait_s("lin", "10.0.0.1") == 0


def test_one_address_against_many_accounts_is_stopped_and_its_regulars_are_not(
    limiter: GuessLimiter,
) -> None:
    limiter.begins("maria", "10.0.0.1")
    limiter.succeeded("maria", "10.0.0.1")
    for number in range(FAILURES_OF_ADDRESS):
        limiter.begins(f"agent{number}", "10.0.0.1")
    assert limiter.wait_s("agent999", "10.0.0.1") > 0
    assert limiter.wait_s("maria", "10.0.0.1") == 0


def test_a_whole_office_signs_in_from_one_address(limiter: GuessLimiter) -> None:
    for number in range(1_000):
        login = f"agent{number}"
        assert limiter.wait_s(login, "10.0.0.1") == 0
        limiter.begins(login, "10.0.0.1")
        limiter.succeeded(login, "10.0.0.1")


def test_what_it_remembers_is_bounded(limiter: GuessLimiter) -> None:
    for number in range(MOST_REMEMBERED):
        limiter.begins(f"made up {number}", f"10.{number}")
    assert len(limiter._failures) <= MOST_REMEMBERED
