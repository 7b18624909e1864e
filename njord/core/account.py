"""Account: balances, positions, equity and free margin. The ledger and the gate never assume which kind it is.

`SpotAccount` pays for what it buys, with money of its own or, on margin, with borrowed money too. An instrument of
kind LINEAR trades in it with the same cash flows, and may be sold short. `core/perp_account.py` is the account that
settles contracts by their profit; `Books` is what both share, and `core/accounts.py` chooses.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from njord.core.contracts import BalanceAdjusted, FillEvent, FundingEvent, PositionSnapshot
from njord.core.errors import ConfigError, InvariantError
from njord.core.instrument import Instrument
from njord.core.position import Position
from njord.core.types import BUY, InstrumentKind
from njord.core.units import EXACT, ZERO, quantum, ratio, round_up

ONE = Decimal(1)
_MARGIN_QUANTUM = quantum(18)
_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply
_FLAT = Position()


class Account(Protocol):
    """What the ledger keeps, and what risk, portfolio and strategies read."""

    report_asset: str
    cash: Decimal
    positions: list[Position]  # By instrument; only to be looked at.
    contributed: (
        Decimal  # Paid in less taken out since the beginning, at the prices of then: no part of any profit.
    )

    @property
    def is_valued(self) -> bool:
        """Return whether nothing is owed or held that the report asset can not value."""

    @property
    def fees(self) -> Decimal:
        """Return all fees paid so far, valued in the report asset."""

    @property
    def funding(self) -> Decimal:
        """Return all funding received so far, negative if paid, in the report asset."""

    def apply_fill(self, fill: FillEvent, marks: Sequence[int]) -> tuple[PositionSnapshot, ...]:
        """Book one fill and return the changed positions."""

    def apply_funding(self, event: FundingEvent, marks: Sequence[int]) -> tuple[PositionSnapshot, ...]:
        """Book one funding payment and return the changed positions."""

    def apply_adjustment(self, event: BalanceAdjusted) -> tuple[PositionSnapshot, ...]:
        """Follow a balance that changed without a trade of ours, and return the changed positions."""

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

    def leverage(self, instrument: int) -> Decimal:
        """Return how many times its margin a position in `instrument` may be worth; 1 = it is paid in full."""

    def may_short(self, instrument: int) -> bool:
        """Say whether more may be sold than is held."""

    def check(self) -> None:
        """Assert that cash plus positions equals capital, what was paid in, and profit minus fees plus funding, to the last unit."""


def adjustment_worth(event: BalanceAdjusted, instruments: Sequence[Instrument]) -> Decimal:
    """Return what was paid in, negative if taken out, in the report asset: an asset counts at the event's price."""
    if event.instrument < 0:
        return event.amount
    return _multiply(event.amount, instruments[event.instrument].price(event.price_ticks))


class Books:
    """Cash in one report asset and positions priced in it; every sum is exact. How a fill is settled is the kind's own.

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
        self.contributed = ZERO
        self._paid_in = cash  # In all: their sum.
        self._instruments = tuple(instruments)
        self.positions: list[Position] = [_FLAT] * len(instruments)
        self._fees: list[Decimal] = [ZERO] * len(instruments)
        self._funding: list[Decimal] = [ZERO] * len(instruments)
        self._unvalued: dict[str, Decimal] = {}  # Fees owed in assets that nothing here can price.
        # Where an asset is inventory that can pay a fee: a contract on it is not.
        self._by_base = {
            instrument.base: index
            for index, instrument in reversed(tuple(enumerate(instruments)))
            if instrument.kind is InstrumentKind.SPOT
        }

    @property
    def is_valued(self) -> bool:
        """Whether no fee is owed in an asset that nothing here can price."""
        return not self._unvalued

    @property
    def fees(self) -> Decimal:
        """All fees paid so far, in the report asset."""
        total = ZERO
        for fee in self._fees:
            total = _add(total, fee)
        return total

    @property
    def funding(self) -> Decimal:
        """All funding received so far, negative if paid, in the report asset."""
        total = ZERO
        for funding in self._funding:
            total = _add(total, funding)
        return total

    @property
    def realized_pnl(self) -> Decimal:
        """Realized profit of all instruments, before fees, in the report asset."""
        total = ZERO
        for position in self.positions:
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
        lots = fill.qty_lots if fill.side is BUY else -fill.qty_lots
        traded = instrument.notional(fill.price_ticks, lots)
        before = self.positions[index]
        after = self.positions[index] = before.after_trade(instrument.qty(lots), traded)
        self._settle(index, traded, before, after)
        holder = self._charge(fill, index, marks) if fill.fee else index
        snapshot = self._snapshot(fill, index)
        return (snapshot,) if holder == index else (snapshot, self._snapshot(fill, holder))

    # What the fill itself, its fee apart, does to the cash: a purchase pays, a sale receives.
    def _settle(self, index: int, traded: Decimal, before: Position, after: Position) -> None:
        self.cash = _subtract(self.cash, traded)

    def apply_funding(self, event: FundingEvent, marks: Sequence[int]) -> tuple[PositionSnapshot, ...]:
        """Book one funding payment and return the position that caused it.

        Raises:
            InvariantError: It is paid in another asset than the account's.
        """
        if event.asset != self.report_asset:
            raise InvariantError(
                f"funding of instrument {event.instrument} comes in {event.asset}, the account keeps {self.report_asset}"
            )
        index = event.instrument
        self.cash = _add(self.cash, event.amount)
        self._funding[index] = _add(self._funding[index], event.amount)
        return (self._snapshot(event, index),)

    def apply_adjustment(self, event: BalanceAdjusted) -> tuple[PositionSnapshot, ...]:
        """Follow a balance that changed without a trade of ours: capital changes by its worth, profit by nothing.

        An asset comes in, or leaves, at the price that the event names, as if it were paid in or out in kind; what
        leaves takes its share of the cost with it, and the difference is realized.
        """
        index, worth = event.instrument, adjustment_worth(event, self._instruments)
        self.contributed = _add(self.contributed, worth)
        self._paid_in = _add(self.opening_cash, self.contributed)
        if index < 0:
            self.cash = _add(self.cash, worth)
            return (self._snapshot(event, 0),)
        self.positions[index] = self.positions[index].after_trade(event.amount, worth)
        return (self._snapshot(event, index),)

    # Books the fee and returns the instrument whose inventory paid it.
    def _charge(self, fill: FillEvent, index: int, marks: Sequence[int]) -> int:
        fee, asset = fill.fee, fill.fee_asset
        if asset == self.report_asset:
            self.cash = _subtract(self.cash, fee)
            self._fees[index] = _add(self._fees[index], fee)
            return index
        instrument = self._instruments[index]
        if asset == instrument.base and instrument.kind is InstrumentKind.SPOT:
            holder, paid_at = index, instrument.price(fill.price_ticks)
        else:
            holder = self._by_base.get(asset, -1)
            if holder < 0 or not marks[holder]:
                self._owe(asset, fee)
                return index
            paid_at = self._instruments[holder].price(marks[holder])
        # Inventory left without bringing cash in: its worth went into fees.
        self.positions[holder] = self.positions[holder].after(fee.copy_negate(), paid_at)
        self._fees[index] = _add(self._fees[index], _multiply(fee, paid_at))
        return holder

    def _owe(self, asset: str, fee: Decimal) -> None:
        left = _subtract(self._unvalued.pop(asset, ZERO), fee)
        if left:
            self._unvalued[asset] = left

    def _snapshot(self, cause: FillEvent | FundingEvent | BalanceAdjusted, index: int) -> PositionSnapshot:
        position = self.positions[index]
        return PositionSnapshot(
            ts_ns=cause.ts_ns,
            instrument=index,
            account_id=cause.account_id,
            qty=position.qty,
            cost=position.cost,
            realized_pnl=position.realized_pnl,
            fees=self._fees[index],
            cash=self.cash,
            unvalued=tuple(self._unvalued.items()) if self._unvalued else (),
            funding=self._funding[index],
        )

    def adopt(self, snapshot: PositionSnapshot) -> None:
        """Take over the state after a fill, as the ledger announced it."""
        index = snapshot.instrument
        self.positions[index] = Position(snapshot.qty, snapshot.cost, snapshot.realized_pnl)
        self._fees[index] = snapshot.fees
        self._funding[index] = snapshot.funding
        self.cash = snapshot.cash
        if snapshot.unvalued or self._unvalued:
            self._unvalued = dict(snapshot.unvalued)

    def balances(self) -> dict[str, Decimal]:
        """Return what is held, by asset."""
        held = {self.report_asset: self.cash, **self._unvalued}
        for instrument, position in zip(self._instruments, self.positions, strict=True):
            held[instrument.base] = _add(held.get(instrument.base, ZERO), position.qty)
        return held

    def position(self, instrument: int) -> Position:
        """Return the position in `instrument`."""
        return self.positions[instrument]

    def equity(self, marks: Sequence[int]) -> Decimal | None:
        """Return cash plus positions at `marks` (ticks by instrument); None if a needed price is unknown."""
        if self._unvalued:
            return None
        total = self.cash
        for index, position in enumerate(self.positions):
            if position.qty:
                if not marks[index]:
                    return None
                total = _add(total, position.value(self._instruments[index].price(marks[index])))
        return total

    def gross(self, marks: Sequence[int]) -> Decimal | None:
        """Return the sum of all positions' absolute worth at `marks`; None if a needed price is unknown."""
        total = ZERO
        for index, position in enumerate(self.positions):
            if position.qty:
                if not marks[index]:
                    return None
                worth = position.value(self._instruments[index].price(marks[index]))
                total = _add(total, worth.copy_abs())
        return total

    def leverage(self, instrument: int) -> Decimal:
        """Return 1: what is bought is paid in full."""
        return ONE

    def initial_margin(self, marks: Sequence[int]) -> Decimal | None:
        """Return what must stand behind all positions at `marks`: the worth of each by its leverage, never too little."""
        total = ZERO
        for index, position in enumerate(self.positions):
            if position.qty:
                if not marks[index]:
                    return None
                worth = position.value(self._instruments[index].price(marks[index])).copy_abs()
                total = _add(total, margin(worth, self.leverage(index)))
        return total

    def free_margin(self, marks: Sequence[int]) -> Decimal | None:
        """Return equity minus initial margin: for longs paid in full this is cash, else what still backs new ones."""
        equity, bound = self.equity(marks), self.initial_margin(marks)
        return None if equity is None or bound is None else _subtract(equity, bound)

    def may_short(self, instrument: int) -> bool:
        """Say whether more may be sold than is held: not on spot."""
        return self._instruments[instrument].kind is not InstrumentKind.SPOT

    def check(self) -> None:
        """Assert the accounting identity, to the last unit: equity = capital + realized + unrealized - fees + funding.

        Unrealized profit is worth minus cost, so that the worth stands on both sides, at any price: what is left is
        cash plus what was paid for the positions against capital plus realized profit minus fees plus funding.

        Raises:
            InvariantError: It does not hold.
        """
        stands, earned = self.cash, self._paid_in
        for index, position in enumerate(self.positions):
            stands = _add(stands, self._paid(index))
            earned = _subtract(_add(earned, position.realized_pnl), self._fees[index])
            if self._funding[index]:
                earned = _add(earned, self._funding[index])
        if stands != earned:
            raise InvariantError(
                f"cash and cost {stands} are not capital + realized profit - fees + funding = {earned}"
            )

    # What left the cash for the position that is open.
    def _paid(self, index: int) -> Decimal:
        return self.positions[index].cost


class SpotAccount(Books):
    """Pays for what it buys, from its own cash unless it may borrow.

    Args:
        instruments: What can be traded, all quoted in `report_asset`.
        report_asset: The asset of `cash` and of all results.
        cash: Opening balance.
        may_borrow: A margin account: cash may go below zero, and what is not held may be sold. No interest is charged.
        leverage: How many times the equity that stands behind them all positions may be worth.

    Raises:
        ConfigError: An instrument is quoted in another asset, or leverage without borrowing.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        report_asset: str,
        cash: Decimal,
        *,
        may_borrow: bool = False,
        leverage: Decimal = ONE,
    ) -> None:
        super().__init__(instruments, report_asset, cash)
        check_leverage(leverage)
        if leverage > 1 and not may_borrow:
            raise ConfigError(
                f"leverage of an account that pays in full must be 1, was {leverage}",
                "choose a margin or a perpetual account",
            )
        self._may_borrow = may_borrow
        self._leverage = leverage

    def leverage(self, instrument: int) -> Decimal:
        """Return the account's leverage, the same for all instruments."""
        return self._leverage

    def may_short(self, instrument: int) -> bool:
        """Say whether more may be sold than is held: on spot only with borrowed inventory."""
        return self._may_borrow or super().may_short(instrument)


def margin(worth: Decimal, leverage: Decimal) -> Decimal:
    """Return worth / leverage, in the asset of `worth` (>= 0), rounded up to the 18th decimal where it does not end."""
    if leverage == 1:
        return worth
    exact = ratio(worth, leverage)
    rounded = round_up(exact, _MARGIN_QUANTUM)
    return exact if exact == rounded else rounded


def check_leverage(leverage: Decimal) -> None:
    """Refuse a leverage that is none.

    Raises:
        ConfigError: It is not a finite number of at least 1.
    """
    if not leverage.is_finite() or leverage < 1:
        raise ConfigError(f"leverage must be >= 1, was {leverage}", "1 = positions are paid in full")
