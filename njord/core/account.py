"""Account: balances, positions, equity and free margin. The ledger and the gate never assume which kind it is.

`SpotAccount` pays for what it buys. An instrument of kind LINEAR trades in it as a contract at 1x without funding:
the same cash flows, and it may be sold short. Perpetuals with margin and funding will be another account.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from njord.core.contracts import FillEvent, PositionSnapshot
from njord.core.errors import ConfigError, InvariantError
from njord.core.instrument import Instrument
from njord.core.position import Position
from njord.core.types import BUY, InstrumentKind
from njord.core.units import EXACT, ZERO

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply
_FLAT = Position()


class Account(Protocol):
    """What the ledger keeps, and what risk, portfolio and strategies read."""

    report_asset: str
    cash: Decimal

    @property
    def fees(self) -> Decimal:
        """Return all fees paid so far, valued in the report asset."""

    def apply_fill(self, fill: FillEvent, marks: Sequence[int]) -> tuple[PositionSnapshot, ...]:
        """Book one fill and return the changed positions."""

    def adopt(self, snapshot: PositionSnapshot) -> None:
        """Take over a state that another account computed."""

    def balances(self) -> Mapping[str, Decimal]:
        """Return what is held, by asset."""

    def position(self, instrument: int) -> Position:
        """Return the position in `instrument`, flat if there never was one."""

    def equity(self, marks: Sequence[int]) -> Decimal | None:
        """Return the account's worth at `marks` (ticks by instrument, 0 = unknown); None if a price is missing."""

    def gross(self, marks: Sequence[int]) -> Decimal | None:
        """Return the sum of all positions' absolute worth at `marks`; None if a price is missing."""

    def free_margin(self, marks: Sequence[int]) -> Decimal | None:
        """Return what may still be spent on new exposure, in the report asset; None if a price is missing."""

    def may_short(self, instrument: int) -> bool:
        """Say whether more may be sold than is held."""

    def check(self) -> None:
        """Assert that cash plus positions equals capital plus profit minus fees, to the last unit, at any price."""


class SpotAccount:
    """Cash in one report asset and positions priced in it; every sum is exact.

    Args:
        instruments: What can be traded, all quoted in `report_asset`.
        report_asset: The asset of `cash` and of all results.
        cash: Opening balance.

    Raises:
        ConfigError: An instrument is quoted in another asset.
    """

    def __init__(self, instruments: Sequence[Instrument], report_asset: str, cash: Decimal) -> None:
        for instrument in instruments:
            if instrument.quote != report_asset:
                raise ConfigError(
                    f"{instrument.symbol} is quoted in {instrument.quote}, the account in {report_asset}",
                    "no conversion price is known; trade instruments of one quote asset",
                )
        self.report_asset = report_asset
        self.cash = cash
        self.opening_cash = cash
        self._instruments = tuple(instruments)
        self._positions: list[Position] = [_FLAT] * len(instruments)
        self._fees: list[Decimal] = [ZERO] * len(instruments)
        self._unvalued: dict[str, Decimal] = {}  # Fees owed in assets that nothing here can price.
        # Where an asset is inventory that can pay a fee: a contract on it is not.
        self._by_base = {
            instrument.base: index
            for index, instrument in reversed(tuple(enumerate(instruments)))
            if instrument.kind is InstrumentKind.SPOT
        }

    @property
    def fees(self) -> Decimal:
        """All fees paid so far, in the report asset."""
        total = ZERO
        for fee in self._fees:
            total = _add(total, fee)
        return total

    @property
    def realized_pnl(self) -> Decimal:
        """Realized profit of all instruments, before fees, in the report asset."""
        total = ZERO
        for position in self._positions:
            total = _add(total, position.realized_pnl)
        return total

    def apply_fill(self, fill: FillEvent, marks: Sequence[int]) -> tuple[PositionSnapshot, ...]:
        """Book one fill and return the changed positions.

        A fee in the traded asset is a disposal of that much inventory at the fill's price; a fee in the base asset
        of another instrument here, a disposal at that instrument's mark. A fee that nothing here can value is kept
        in its own asset, and equity is unknown from then on.
        """
        index = fill.instrument
        instrument = self._instruments[index]
        price = instrument.price(fill.price_ticks)
        qty = instrument.qty(fill.qty_lots)
        signed = qty if fill.side is BUY else qty.copy_negate()
        self.cash = _subtract(self.cash, _multiply(signed, price))
        self._positions[index] = self._positions[index].after(signed, price)
        holder = self._charge(fill, index, price, marks) if fill.fee else index
        snapshot = self._snapshot(fill, index)
        return (snapshot,) if holder == index else (snapshot, self._snapshot(fill, holder))

    # Books the fee and returns the instrument whose inventory paid it.
    def _charge(self, fill: FillEvent, index: int, price: Decimal, marks: Sequence[int]) -> int:
        fee, asset = fill.fee, fill.fee_asset
        if asset == self.report_asset:
            self.cash = _subtract(self.cash, fee)
            self._fees[index] = _add(self._fees[index], fee)
            return index
        instrument = self._instruments[index]
        if asset == instrument.base and instrument.kind is InstrumentKind.SPOT:
            holder, paid_at = index, price
        else:
            holder = self._by_base.get(asset, -1)
            if holder < 0 or not marks[holder]:
                self._owe(asset, fee)
                return index
            paid_at = self._instruments[holder].price(marks[holder])
        # Inventory left without bringing cash in: its worth went into fees.
        self._positions[holder] = self._positions[holder].after(fee.copy_negate(), paid_at)
        self._fees[index] = _add(self._fees[index], _multiply(fee, paid_at))
        return holder

    def _owe(self, asset: str, fee: Decimal) -> None:
        left = _subtract(self._unvalued.pop(asset, ZERO), fee)
        if left:
            self._unvalued[asset] = left

    def _snapshot(self, fill: FillEvent, index: int) -> PositionSnapshot:
        position = self._positions[index]
        return PositionSnapshot(
            ts_ns=fill.ts_ns,
            instrument=index,
            account_id=fill.account_id,
            qty=position.qty,
            cost=position.cost,
            realized_pnl=position.realized_pnl,
            fees=self._fees[index],
            cash=self.cash,
            unvalued=tuple(self._unvalued.items()) if self._unvalued else (),
        )

    def adopt(self, snapshot: PositionSnapshot) -> None:
        """Take over the state after a fill, as the ledger announced it."""
        self._positions[snapshot.instrument] = Position(snapshot.qty, snapshot.cost, snapshot.realized_pnl)
        self._fees[snapshot.instrument] = snapshot.fees
        self.cash = snapshot.cash
        if snapshot.unvalued or self._unvalued:
            self._unvalued = dict(snapshot.unvalued)

    def balances(self) -> dict[str, Decimal]:
        """Return what is held, by asset."""
        held = {self.report_asset: self.cash, **self._unvalued}
        for instrument, position in zip(self._instruments, self._positions, strict=True):
            held[instrument.base] = _add(held.get(instrument.base, ZERO), position.qty)
        return held

    def position(self, instrument: int) -> Position:
        """Return the position in `instrument`."""
        return self._positions[instrument]

    def equity(self, marks: Sequence[int]) -> Decimal | None:
        """Return cash plus positions at `marks` (ticks by instrument); None if a needed price is unknown."""
        if self._unvalued:
            return None
        total = self.cash
        for index, position in enumerate(self._positions):
            if position.qty:
                if not marks[index]:
                    return None
                total = _add(total, position.value(self._instruments[index].price(marks[index])))
        return total

    def gross(self, marks: Sequence[int]) -> Decimal | None:
        """Return the sum of all positions' absolute worth at `marks`; None if a needed price is unknown."""
        total = ZERO
        for index, position in enumerate(self._positions):
            if position.qty:
                if not marks[index]:
                    return None
                worth = position.value(self._instruments[index].price(marks[index]))
                total = _add(total, worth.copy_abs())
        return total

    def free_margin(self, marks: Sequence[int]) -> Decimal | None:
        """Return equity minus gross exposure: for longs this is cash, for 1x shorts what still backs new ones."""
        equity, gross = self.equity(marks), self.gross(marks)
        return None if equity is None or gross is None else _subtract(equity, gross)

    def may_short(self, instrument: int) -> bool:
        """Say whether more may be sold than is held: not on spot."""
        return self._instruments[instrument].kind is not InstrumentKind.SPOT

    def check(self) -> None:
        """Assert the accounting identity, to the last unit: equity = capital + realized + unrealized - fees.

        Unrealized profit is worth minus cost, so that the worth stands on both sides, at any price: what is left is
        cash plus the cost of the positions against capital plus realized profit minus fees.

        Raises:
            InvariantError: It does not hold.
        """
        stands, earned = self.cash, self.opening_cash
        for position, fees in zip(self._positions, self._fees, strict=True):
            stands = _add(stands, position.cost)
            earned = _subtract(_add(earned, position.realized_pnl), fees)
        if stands != earned:
            raise InvariantError(
                f"cash and cost {stands} are not capital + realized profit - fees = {earned}"
            )
