"""Every live lock by itself: what opens it, what it says, and that nothing that was not looked at is open."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from njord.adapters.kill_switch_watch import Reading
from njord.apps.live_locks import (
    Lock,
    LockState,
    Measured,
    VenueSeen,
    live_locks,
    why_locked,
)
from njord.apps.live_look import look_at_venue
from njord.core.clock import FixedClock
from njord.core.contracts import BalanceSnapshot
from njord.core.types import Severity, TradingState
from njord.venues.binance_outbox import USED_UP
from njord.venues.binance_rounds import STRANGER
from njord.venues.broker_wire import Health, KnownOrder, Notice, UnknownOrder, Word

ACTIVE = Health(state=TradingState.ACTIVE, reason="")
SEEN = VenueSeen(offset_ns=20_000_000, doubt_ns=5_000_000, health=ACTIVE)
OPEN = Measured(
    env="live",
    consent="1",
    account="main",
    named="main",
    keys_origin="the environment",
    switch=Reading(TradingState.ACTIVE, "file", "", ""),
    venue=SEEN,
    tolerance_ms=1000,
    cap=Decimal(10),
)
NAMES = [
    "environment", "consent", "account", "keys", "kill_switch", "clock", "reconciliation", "first_orders_cap", "dry_run",
]  # fmt: skip
HALTED = Reading(TradingState.HALTED, "file", "an operator", "somebody")
CLOSED: dict[str, list[dict[str, Any]]] = {
    "environment": [{"env": "paper"}, {"env": "dev"}],
    "consent": [{"consent": ""}, {"consent": "0"}, {"consent": "true"}, {"consent": "1 "}],
    "account": [{"account": ""}, {"named": ""}, {"named": "mian"}],
    "keys": [{"keys_origin": "", "keys_trouble": "there are no keys"}],
    "kill_switch": [{"switch": HALTED}, {"switch": Reading(TradingState.REDUCE_ONLY, "redis", "", "")}],
    "clock": [
        {"venue": replace(SEEN, offset_ns=-996_000_000)},
        {"venue": replace(SEEN, offset_ns=0, doubt_ns=1_000_000_001)},
        {"tolerance_ms": 24},
    ],
    "reconciliation": [
        {"venue": replace(SEEN, health=Health(state=TradingState.HALTED, reason="stream: closed"))},
        {"venue": replace(SEEN, health=Health(state=TradingState.REDUCE_ONLY, reason="x"))},
        {"venue": replace(SEEN, n_unknown=1)},
    ],
    "first_orders_cap": [{"cap": Decimal("10.01")}, {"cap": Decimal(100), "cap_reason": "  "}],
    "dry_run": [{"dry_run": True}],
}


def closed(measured: Measured) -> list[Lock]:
    return [lock for lock in live_locks(measured) if lock.state is not LockState.OPEN]


def test_all_are_open_when_everything_holds() -> None:
    assert [lock.name for lock in live_locks(OPEN)] == NAMES
    assert closed(OPEN) == []
    assert why_locked(live_locks(OPEN)) == ""
    assert all(not lock.next for lock in live_locks(OPEN))


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in CLOSED.items() for change in changes]
)
def test_one_thing_that_does_not_hold_closes_its_lock_and_no_other(name: str, change: dict[str, Any]) -> None:
    (lock,) = closed(replace(OPEN, **change))
    assert (lock.name, lock.state) == (name, LockState.CLOSED)
    assert lock.seen and lock.next
    assert "\n" not in lock.seen + lock.next
    assert name in why_locked(live_locks(replace(OPEN, **change)))


def test_every_lock_can_be_closed() -> None:
    assert list(CLOSED) == NAMES


def test_a_venue_that_was_not_asked_is_unknown_and_not_open() -> None:
    locks = closed(replace(OPEN, venue=None))
    assert [(lock.name, lock.state) for lock in locks] == [
        ("clock", LockState.UNKNOWN),
        ("reconciliation", LockState.UNKNOWN),
    ]
    (clock,) = closed(replace(OPEN, venue=replace(SEEN, doubt_ns=-1, clock_trouble="no connection")))
    assert (clock.state, clock.seen) == (LockState.UNKNOWN, "no connection")


def test_a_lifted_cap_says_why_and_the_clock_says_how_far_off_it_is() -> None:
    by_name = {
        lock.name: lock.seen for lock in live_locks(replace(OPEN, cap=Decimal(500), cap_reason="week three"))
    }
    assert by_name["first_orders_cap"] == 'lifted to 500: "week three"'
    assert by_name["clock"] == "the venue's clock is +20 ms from ours, give or take 5; allowed are 1000"
    elsewhere = {lock.name: lock.seen for lock in live_locks(replace(OPEN, endpoint="http://127.0.0.1:9095"))}
    assert elsewhere["reconciliation"] == "finished at http://127.0.0.1:9095"


def test_a_reconciliation_that_has_finished_names_the_account_that_answered() -> None:
    (lock,) = (
        each
        for each in live_locks(replace(OPEN, venue=replace(SEEN, account_uid=7)))
        if each.name == "reconciliation"
    )
    assert lock.seen == "finished with account 7"


@pytest.mark.parametrize(
    ("seen", "next_"),
    [
        (
            {"account_uid": 5},
            "check the key's permissions and the venue's status, then again: njord live --check",
        ),
        (
            {"account_uid": 5, "is_stranger": True},
            "if account 5 is not the one you mean, set live.account_uid, then again: njord live --check",
        ),
        (
            {
                "account_uid": 5,
                "health": Health(state=TradingState.HALTED, reason=f"rules: not read; {USED_UP}"),
            },
            "let what else asks the venue from this address rest for a minute, then again: njord live --check",
        ),
    ],
)
def test_what_to_do_next_is_said_for_what_is_the_matter(seen: dict[str, Any], next_: str) -> None:
    venue = replace(SEEN, **{"health": Health(state=TradingState.HALTED, reason="stream: closed"), **seen})
    (lock,) = closed(replace(OPEN, venue=venue))
    assert lock.next == next_


class Scripted:
    """A broker that says one thing after the other, the next one when its last words are taken or it is told to go on."""

    account_uid = 7

    def __init__(self, *said: Health | Notice, goes_on: bool = False) -> None:
        self.health = Health(state=TradingState.HALTED, reason="it was not asked")
        self._said = list(said)
        self._goes_on = goes_on
        self._words: list[Word] = []
        self._on_words: Callable[[], None] = lambda: None
        self.is_stopped = False
        self.n_balances = 0

    def start(
        self, known: Sequence[KnownOrder], cursors: Mapping[str, str], on_words: Callable[[], None]
    ) -> None:
        self._on_words = on_words
        self.go_on()

    def go_on(self) -> None:
        word = self._said.pop(0)
        if isinstance(word, Health):
            self.health = word
        self._words.append(word)
        self._on_words()

    def stop(self) -> bool:
        self.is_stopped = True
        return True

    def take_words(self) -> list[Word]:
        words, self._words = self._words, []
        if self._goes_on:
            self.go_on()
        return words

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        return ()

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        self.n_balances += 1
        return ()

    def server_time(self) -> int:
        return 0


SHORT = Health(state=TradingState.HALTED, reason=f"rules: the symbols' rules were not read yet; {USED_UP}")
CLOCK = FixedClock(0)


def test_a_budget_that_is_used_up_is_waited_for() -> None:
    broker, told = Scripted(SHORT, ACTIVE), list[str]()

    def waits(why: str) -> None:
        told.append(why)
        broker.go_on()

    # No patience at all for anything else.
    seen = look_at_venue(broker, CLOCK, on_wait=waits, within_s=0.0)
    assert (seen.health, told) == (ACTIVE, [SHORT.reason])
    assert broker.is_stopped


def test_a_wait_for_the_budget_is_said_once_however_often_the_broker_speaks() -> None:
    broker, told = Scripted(SHORT, SHORT, ACTIVE, goes_on=True), list[str]()
    assert look_at_venue(broker, CLOCK, on_wait=told.append).health == ACTIVE
    assert told == [SHORT.reason]


def test_a_budget_that_stays_used_up_is_not_waited_for_for_ever() -> None:
    broker = Scripted(SHORT)
    seen = look_at_venue(broker, CLOCK, within_s=60.0, budget_within_s=0.0)
    assert seen.health == SHORT
    assert broker.is_stopped


def test_another_reason_takes_no_patience_of_the_budgets() -> None:
    broker = Scripted(Health(state=TradingState.HALTED, reason="stream: closed"))
    assert look_at_venue(broker, CLOCK, within_s=0.0).health.reason == "stream: closed"


def test_balances_are_asked_for_only_where_somebody_wants_to_know() -> None:
    for reads in (False, True):
        broker = Scripted(ACTIVE)
        look_at_venue(broker, CLOCK, reads_balances=reads)
        assert broker.n_balances == int(reads)


def test_a_stranger_that_answered_is_remembered() -> None:
    stranger = Notice(severity=Severity.WARNING, title=STRANGER, message="account 9 answers, not 7")
    assert look_at_venue(Scripted(stranger), CLOCK, within_s=0.0).is_stranger
    assert not look_at_venue(Scripted(ACTIVE), CLOCK).is_stranger
