"""Ledger: the component that books fills and funding, and proves after each that no money appeared or vanished."""

from collections.abc import Sequence

from njord.core.account import Account
from njord.core.component import Handler
from njord.core.contracts import (
    BalanceAdjusted,
    Bar,
    FillEvent,
    FundingEvent,
    Message,
    PositionSnapshot,
    TradeEvent,
)


class Ledger:
    """Books fills and funding into an account and announces the positions they change.

    Args:
        account: Of any kind; the ledger does not know which.
        n_instruments: How many instruments the run trades.
        last_ticks: The last price of each instrument, if another stage keeps them; else the ledger follows them.
    """

    def __init__(self, account: Account, n_instruments: int, last_ticks: list[int] | None = None) -> None:
        self.account = account
        self.mark_ticks = [0] * n_instruments if last_ticks is None else last_ticks
        self._follows_prices = last_ticks is None

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        table: dict[type[Message], Handler] = {
            FillEvent: self._on_fill,
            FundingEvent: self._on_funding,
            BalanceAdjusted: self._on_adjustment,
        }
        if self._follows_prices:
            table |= {Bar: self._on_bar, TradeEvent: self._on_trade}
        return table

    def _on_bar(self, bar: Bar) -> None:
        self.mark_ticks[bar.instrument] = bar.close

    def _on_trade(self, trade: TradeEvent) -> None:
        self.mark_ticks[trade.instrument] = trade.price_ticks

    def _on_fill(self, fill: FillEvent) -> Sequence[PositionSnapshot]:
        snapshots = self.account.apply_fill(fill, self.mark_ticks)
        self.account.check()
        return snapshots

    def _on_funding(self, event: FundingEvent) -> Sequence[PositionSnapshot]:
        snapshots = self.account.apply_funding(event, self.mark_ticks)
        self.account.check()
        return snapshots

    def _on_adjustment(self, event: BalanceAdjusted) -> Sequence[PositionSnapshot]:
        snapshots = self.account.apply_adjustment(event)
        self.account.check()
        return snapshots
