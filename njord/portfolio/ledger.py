"""Ledger: the component that books every fill, and proves after each that no money appeared or vanished."""

from collections.abc import Sequence

from njord.core.account import Account
from njord.core.component import Handler
from njord.core.contracts import Bar, FillEvent, Message, PositionSnapshot, TradeEvent


class Ledger:
    """Books fills into an account and announces the positions they change.

    Args:
        account: Of any kind; the ledger does not know which.
        n_instruments: How many instruments the run trades.
    """

    def __init__(self, account: Account, n_instruments: int) -> None:
        self.account = account
        self.mark_ticks = [0] * n_instruments

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {Bar: self._on_bar, TradeEvent: self._on_trade, FillEvent: self._on_fill}

    def _on_bar(self, bar: Bar) -> None:
        self.mark_ticks[bar.instrument] = bar.close

    def _on_trade(self, trade: TradeEvent) -> None:
        self.mark_ticks[trade.instrument] = trade.price_ticks

    def _on_fill(self, fill: FillEvent) -> Sequence[PositionSnapshot]:
        snapshots = self.account.apply_fill(fill, self.mark_ticks)
        self.account.check(self.mark_ticks)
        return snapshots
