"""Is everything known that the venue knows? One reconciliation: what must be answered, in which order, and when it ends.

First the account and the open orders are read, then the trades and every order that no list showed: so trades that
happened meanwhile are seen. Only answers to questions that were asked after its beginning count.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from njord.core.contracts import BalanceSnapshot
from njord.core.types import Severity
from njord.core.units import EXACT, NS_PER_MINUTE, NS_PER_S
from njord.venues.binance_chores import Key
from njord.venues.broker_wire import Notice

STRANGER: Final = "another account answers than the one that is traded for; it is not believed"
Totals = dict[str, Decimal]
AHEAD_MS = 1000  # A time from further ahead is from before the venue's clock was set back.
_AGREED = 3  # One answer may be somebody else's; who is told the account's number does not have to guess.


class Round(msgspec.Struct, eq=False):
    """One reconciliation.

    Attributes:
        since_ns: Its beginning.
        activity: How much of ours had happened then.
        pending: What must still be answered.
        is_second_half: Whether trades and orders are being read.
    """

    since_ns: int
    activity: int
    pending: dict[Key, bool]
    is_second_half: bool = False

    def need(self, keys: Iterable[Key]) -> None:
        """Wait for these answers as well."""
        self.pending.update((key, True) for key in keys)

    def answered(self, key: Key, asked_ns: int) -> None:
        """Take note of an answer."""
        if asked_ns >= self.since_ns:
            self.pending.pop(key, None)


class Accounts:
    """What the account said of itself: always the same account, and never an older state of it.

    Args:
        uid: Of the account that must answer; 0 = the one that answers three times in a row first.

    Attributes:
        uid: Of the account that must answer; 0 = it is not known yet.
        is_stranger: The last answer was another account's.
    """

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.is_stranger = False
        self._candidate = self._n_agreed = 0
        self._updated_ms = 0
        self._quiet: tuple[Totals, int] | None = None
        self.balances: tuple[BalanceSnapshot, ...] = ()
        self.can_trade = True

    def take(
        self,
        uid: int,
        updated_ms: int,
        balances: tuple[BalanceSnapshot, ...],
        can_trade: bool,
        venue_ms: int,
        traded_ms: int,
    ) -> str:
        """Take an answer; return why it is not believed, empty if it is.

        Args:
            uid: Who answers.
            updated_ms: When it changed last, by the venue's clock.
            balances: What it holds.
            can_trade: Whether it may trade.
            venue_ms: The venue's time now.
            traded_ms: Its newest trade that was told; an account that changed before it is an old state.
        """
        if not self.uid:
            self._candidate, before = uid, self._candidate
            self._n_agreed = self._n_agreed + 1 if uid == before else 1
            if self._n_agreed < _AGREED:
                return "which account answers is not certain yet"
            self.uid = uid
        self.is_stranger = uid != self.uid
        if self.is_stranger:
            return f"account {uid} answers, not {self.uid}"
        if updated_ms < max(self._updated_ms, traded_ms):
            return "it is older than what was read before"
        if updated_ms <= venue_ms + AHEAD_MS:
            self._updated_ms = updated_ms
        self.balances, self.can_trade = balances, can_trade
        return ""

    @property
    def is_known(self) -> bool:
        """Whether it is known which account it is."""
        return bool(self.uid)

    def forget_time(self) -> None:
        """Take note that the venue's clock was set: a later state may carry an earlier time."""
        self._updated_ms = 0

    def settle(self, activity: int, is_quiet: bool) -> bool:
        """Take the end of a reconciliation; return whether the balances are the same as at the one before.

        Args:
            activity: Of ours, at its beginning and its end alike, if it is quiet.
            is_quiet: Whether nothing was under way, and all trades are told.
        """
        before = self._quiet
        totals = {each.asset: EXACT.add(each.free, each.locked) for each in self.balances}
        totals = {asset: total for asset, total in totals.items() if total}
        self._quiet = (totals, activity) if is_quiet else None
        return is_quiet and before == self._quiet


class Stranger:
    """For how long has another account answered than the one that must? It is said at once, then ever more seldom."""

    def __init__(self) -> None:
        self._since_ns = self._again_ns = 0

    def answered(self, why: str, now_ns: int) -> Notice | None:
        """Take one more such answer; return what a person is to be told, if anything."""
        if not self._since_ns:
            self._since_ns, self._again_ns = now_ns, now_ns + NS_PER_MINUTE
            return self._notice(why)
        if now_ns < self._again_ns:
            return None
        lasts_ns = now_ns - self._since_ns
        self._again_ns = now_ns + lasts_ns
        return self._notice(f"{why}; for {lasts_ns // NS_PER_S} s now")

    def left(self, now_ns: int) -> Notice | None:
        """Take an answer of the right account; return what a person is to be told, if there was a stranger."""
        since_ns, self._since_ns = self._since_ns, 0
        if not since_ns:
            return None
        message = f"another one had answered for {(now_ns - since_ns) // NS_PER_S} s"
        return Notice(severity=Severity.INFO, title="the right account answers again", message=message)

    def _notice(self, message: str) -> Notice:
        return Notice(severity=Severity.WARNING, title=STRANGER, message=message)
