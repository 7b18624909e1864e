"""May live orders be sent? What was measured in, every lock with its state and the next thing to do out.

Orders of real money need all of these at once: the stage, a second consent, the account's name, decrypted keys, a clear
kill switch, a clock that agrees with the venue's, a finished reconciliation, and a cap on orders that only a reason
lifts. A lock that could not be looked at is not open.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from njord.adapters.kill_switch_watch import Reading
from njord.core.config import LIVE_MICRO_CAP_USD
from njord.core.contracts import BalanceSnapshot
from njord.core.types import TradingState
from njord.core.units import NS_PER_MS, plain
from njord.venues.binance_outbox import USED_UP
from njord.venues.broker_wire import Health

CONSENT = "NJORD_ENABLE_LIVE"


class LockState(StrEnum):
    """Of one lock; whatever is not OPEN keeps orders from being sent."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"  # It could not be looked at.


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """One lock.

    Attributes:
        name: Its name, in lower case.
        state: Whether it lets orders pass.
        seen: What was found, on one line; nothing secret.
        next: What to do; empty if it is open.
    """

    name: str
    state: LockState
    seen: str
    next: str = ""


class VenueSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What asking the venue has shown.

    Attributes:
        offset_ns: The venue's clock less ours.
        doubt_ns: Half the round trip; -1 = its clock could not be asked.
        clock_trouble: Why not.
        health: What the broker said last.
        n_unknown: Orders whose outcome nobody knows.
        is_stranger: Another account answered than the one that must.
        balances: What the account held once all was reconciled; empty before, and where nobody wanted to know.
        account_uid: The venue's number for the account that must answer; 0 = none was known, and none answered surely.
    """

    offset_ns: int = 0
    doubt_ns: int = -1
    clock_trouble: str = ""
    health: Health
    n_unknown: int = 0
    is_stranger: bool = False
    balances: tuple[BalanceSnapshot, ...] = ()
    account_uid: int = 0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the locks hang on, as it was found.

    Attributes:
        env: `app.env`.
        consent: Of NJORD_ENABLE_LIVE; empty if it is not set.
        account: `live.account`.
        named: The account as it was typed or passed; empty if it was not.
        keys_origin: Where the keys were found; empty if there are none.
        keys_trouble: Why there are none.
        switch: The kill switch.
        venue: What the venue showed; None if it was not asked.
        endpoint: Where that is, if it is not the venue itself.
        tolerance_ms: By which the clocks may differ.
        cap: Largest worth of a live order.
        cap_reason: Why it was lifted.
        dry_run: Orders are shown and not sent.
    """

    env: str
    consent: str
    account: str
    named: str
    keys_origin: str = ""
    keys_trouble: str = ""
    switch: Reading
    venue: VenueSeen | None = None
    endpoint: str | None = None
    tolerance_ms: int
    cap: Decimal
    cap_reason: str = ""
    dry_run: bool = False


def live_locks(seen: Measured) -> list[Lock]:
    """Return every lock, in the order in which a person opens them."""
    return [
        _lock(
            "environment", seen.env == "live", f"env is {seen.env}", "set app.env: live in config/base.yaml"
        ),
        _consent(seen.consent),
        _account(seen.account, seen.named),
        _lock(
            "keys",
            bool(seen.keys_origin),
            f"from {seen.keys_origin}" if seen.keys_origin else seen.keys_trouble,
            "see docs/secrets.md",
        ),
        _switch(seen.switch),
        _clock(seen.venue, seen.tolerance_ms),
        _reconciliation(seen.venue, seen.endpoint),
        _cap(seen.cap, seen.cap_reason),
        _lock(
            "dry_run",
            not seen.dry_run,
            "on: orders are shown and not sent" if seen.dry_run else "off",
            "set live.dry_run: false in config/base.yaml",
        ),
    ]


def why_locked(locks: Sequence[Lock]) -> str:
    """Return why no order may leave, on one line; empty if all locks are open."""
    closed = [lock for lock in locks if lock.state is not LockState.OPEN]
    return "; ".join(f"{lock.name} is {lock.state}: {lock.seen}" for lock in closed)


def _lock(name: str, is_open: bool, seen: str, next_: str) -> Lock:
    state = LockState.OPEN if is_open else LockState.CLOSED
    return Lock(name=name, state=state, seen=seen, next="" if is_open else next_)


def _consent(value: str) -> Lock:
    seen = f"{CONSENT} is {'not set' if not value else '1' if value == '1' else 'not 1'}"
    return _lock("consent", value == "1", seen, f"export {CONSENT}=1")


def _account(account: str, named: str) -> Lock:
    if not account:
        return _lock("account", False, "no account is configured", "set live.account in config/base.yaml")
    if not named:
        return _lock(
            "account", False, f"the account {account} was not named", f"pass --account {account}, or type it"
        )
    seen = f"{account}, as named" if named == account else f"another than {account} was named"
    return _lock("account", named == account, seen, f"pass --account {account} if that is the one you mean")


def _switch(switch: Reading) -> Lock:
    is_open = switch.state is TradingState.ACTIVE
    reason = "" if is_open or not switch.reason else f", {switch.reason}"
    next_ = 'njord kill clear --reason "..." once you know why it was tripped'
    return _lock("kill_switch", is_open, f"{switch.state} ({switch.source}){reason}", next_)


def _clock(venue: VenueSeen | None, tolerance_ms: int) -> Lock:
    if venue is None or venue.doubt_ns < 0:
        why = "the venue was not asked" if venue is None else venue.clock_trouble
        return Lock(
            name="clock", state=LockState.UNKNOWN, seen=why, next="open the locks before it, then check again"
        )
    offset_ms, doubt_ms = venue.offset_ns / NS_PER_MS, venue.doubt_ns / NS_PER_MS
    seen = f"the venue's clock is {offset_ms:+.0f} ms from ours, give or take {doubt_ms:.0f}; allowed are {tolerance_ms}"
    is_open = abs(venue.offset_ns) + venue.doubt_ns <= tolerance_ms * NS_PER_MS
    return _lock("clock", is_open, seen, "set this machine's clock: timedatectl set-ntp true")


def _reconciliation(venue: VenueSeen | None, endpoint: str | None) -> Lock:
    where = "" if endpoint is None else f" at {endpoint}"
    if venue is None:
        seen = f"the venue was not asked{where}"
        return Lock(
            name="reconciliation",
            state=LockState.UNKNOWN,
            seen=seen,
            next="open the locks before it, then check again",
        )
    if venue.n_unknown:
        seen, next_ = (
            f"the outcome of {venue.n_unknown} orders is unknown{where}",
            "wait: the venue is asked again",
        )
        return _lock("reconciliation", False, seen, next_)
    if venue.health.state is TradingState.ACTIVE:
        who = f" with account {venue.account_uid}" if venue.account_uid else ""
        return _lock("reconciliation", True, f"finished{where}{who}", "")
    return _lock(
        "reconciliation", False, f"not finished{where}: {venue.health.reason}", _unreconciled_next(venue)
    )


def _unreconciled_next(venue: VenueSeen) -> str:
    again = "then again: njord live --check"
    if venue.is_stranger:
        return f"if account {venue.account_uid} is not the one you mean, set live.account_uid, {again}"
    if venue.health.reason.endswith(USED_UP):
        return f"let what else asks the venue from this address rest for a minute, {again}"
    return f"check the key's permissions and the venue's status, {again}"


def _cap(cap: Decimal, reason: str) -> Lock:
    if cap <= LIVE_MICRO_CAP_USD:
        return _lock("first_orders_cap", True, f"no order above {plain(cap)}", "")
    seen = f"lifted to {plain(cap)}" + (f': "{reason}"' if reason.strip() else ", without a reason")
    next_ = "say why in risk.live_micro_cap_reason"
    return _lock("first_orders_cap", bool(reason.strip()), seen, next_)
