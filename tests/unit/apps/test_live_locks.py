"""Every live lock by itself: what opens it, what it says, and that nothing that was not looked at is open."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from njord.adapters.kill_switch_watch import Reading
from njord.apps.live_locks import Lock, LockState, Measured, VenueSeen, live_locks, why_locked
from njord.core.types import TradingState
from njord.venues.broker_wire import Health

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
