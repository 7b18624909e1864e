"""Perpetual account: contracts settle by their profit, margin stands behind them, funding comes and goes.

In come fills and funding payments, out go positions, equity and margin. Cash holds what is settled: the opening
balance, realized profit, fees and funding. A contract's unrealized profit is part of equity, never of cash. A spot
instrument traded here is paid in full and may not be sold short, as in `SpotAccount`.
"""

from collections.abc import Sequence
from decimal import Decimal

from njord.core.account import ONE, Books, check_leverage
from njord.core.instrument import Instrument
from njord.core.position import Position
from njord.core.types import InstrumentKind
from njord.core.units import EXACT, ZERO

_add, _subtract = EXACT.add, EXACT.subtract


class LinearPerpAccount(Books):
    """Cash, linear contracts settled by their profit, and spot instruments paid in full; every sum is exact.

    Args:
        instruments: What can be traded, all quoted in `report_asset`.
        report_asset: The asset of `cash` and of all results.
        cash: Opening balance.
        leverage: How many times its initial margin a contract's position may be worth.

    Raises:
        ConfigError: An instrument is quoted in another asset, or `leverage` is below 1.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        report_asset: str,
        cash: Decimal,
        leverage: Decimal = ONE,
    ) -> None:
        super().__init__(instruments, report_asset, cash)
        check_leverage(leverage)
        self._is_contract = [instrument.kind is InstrumentKind.LINEAR for instrument in instruments]
        self._leverage = leverage

    # A contract pays its profit when it is closed, and nothing when it is opened.
    def _settle(self, index: int, traded: Decimal, before: Position, after: Position) -> None:
        if self._is_contract[index]:
            self.cash = _add(self.cash, _subtract(after.realized_pnl, before.realized_pnl))
        else:
            super()._settle(index, traded, before, after)

    def _paid(self, index: int) -> Decimal:
        return ZERO if self._is_contract[index] else super()._paid(index)

    def equity(self, marks: Sequence[int]) -> Decimal | None:
        """Return cash, plus contracts' unrealized profit, plus spot holdings at `marks`; None if a price is missing."""
        total = super().equity(marks)
        if total is None:
            return None
        for index, position in enumerate(self.positions):
            if self._is_contract[index] and position.qty:
                # Its worth minus what it cost is its unrealized profit.
                total = _subtract(total, position.cost)
        return total

    def balances(self) -> dict[str, Decimal]:
        """Return what is held, by asset: a contract is a position, no asset."""
        held = {self.report_asset: self.cash, **self._unvalued}
        for index, instrument in enumerate(self._instruments):
            if not self._is_contract[index]:
                held[instrument.base] = _add(held.get(instrument.base, ZERO), self.positions[index].qty)
        return held

    def leverage(self, instrument: int) -> Decimal:
        """Return the account's leverage for a contract, 1 for a spot instrument."""
        return self._leverage if self._is_contract[instrument] else ONE
