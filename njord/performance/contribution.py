"""Contribution: which strategy, on which symbol, made how much of the account's profit?

Fills and funding payments of an account come in, in the order they were booked; for every pair of strategy and
instrument its own position and P&L go out, exact, so that all of them add up to the account's profit to the last
digit. What the venue does on its own is shared out: a liquidation closes what every strategy holds, its fee in
proportion to that; funding goes by signed holdings. What rounding leaves over goes to the last of them.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from njord.core.contracts import VENUE
from njord.core.errors import InvariantError
from njord.core.position import Position
from njord.core.types import BUY, SELL, Side
from njord.core.units import EXACT, ZERO, quantum, round_down, share
from njord.performance.trades import TradeFill

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class AccountFill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fill as the account booked it.

    Attributes:
        strategy_id: Whose it was; `VENUE` for a liquidation.
        instrument: Index of the instrument.
        price: Quote per base, > 0.
        qty: In base, > 0.
        fee: In quote, or in base if `fee_in_base`; negative for a rebate.
    """

    ts_ns: int
    strategy_id: str
    instrument: int
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal = ZERO
    fee_in_base: bool = False
    is_maker: bool = False

    @property
    def fee_value(self) -> Decimal:
        """The fee in quote, at the fill's price where it was paid in kind."""
        return _multiply(self.fee, self.price) if self.fee_in_base else self.fee

    @property
    def notional(self) -> Decimal:
        """Price x quantity, in quote."""
        return _multiply(self.price, self.qty)

    def as_trade(self, key: int) -> TradeFill:
        """Return what it did to the position, under `key`: a fee in kind leaves less than was bought, at its worth."""
        if not self.fee_in_base:
            return TradeFill(self.ts_ns, key, self.side, self.price, self.qty, self.fee)
        kept = _subtract(self.qty, self.fee) if self.side is BUY else _add(self.qty, self.fee)
        return TradeFill(self.ts_ns, key, self.side, self.price, kept, self.fee_value)


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """P&L of a strategy, of an instrument, or of a pair of the two, in quote, exact.

    Attributes:
        strategy_id: None = of all strategies.
        instrument: Index; None = of all instruments.
        n_fills: Fills, liquidations included.
        traded_notional: Sum of price x quantity.
        realized_pnl: Of closed quantity at average cost, before fees.
        unrealized_pnl: Of what is still held, at the last price.
        fees: Paid; negative if rebates exceed them.
        funding: Received; negative if paid.
        pnl: realized_pnl + unrealized_pnl - fees + funding.
    """

    strategy_id: str | None
    instrument: int | None
    n_fills: int
    traded_notional: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    pnl: Decimal


class _Pair(msgspec.Struct, gc=False):
    position: Position = Position()
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    traded_notional: Decimal = ZERO
    n_fills: int = 0


class ContributionBook:
    """Keeps the position and the P&L of every (strategy, instrument).

    Args:
        pairs: Who may trade what, in the order of the tables; others join when they trade.
        money_scales: Decimals of money, by instrument: shares of fees and funding are rounded to them.
    """

    def __init__(self, pairs: Iterable[tuple[str, int]], money_scales: Sequence[int]) -> None:
        self._pairs: dict[tuple[str, int], _Pair] = {pair: _Pair() for pair in pairs}
        self._steps = [quantum(scale) for scale in money_scales]

    def apply(self, fill: AccountFill) -> tuple[AccountFill, ...]:
        """Book one fill and return it as the strategies' own: several parts for a liquidation, else itself."""
        parts = self._parts(fill) if fill.strategy_id == VENUE else (fill,)
        for part in parts:
            self._book(part)
        return parts

    def pay(self, instrument: int, amount: Decimal) -> None:
        """Book a funding payment (negative: paid), shared by what each strategy holds, short against long.

        Raises:
            InvariantError: Nobody holds the instrument.
        """
        holders = self._holders(instrument)
        if not holders:
            raise InvariantError(f"funding of {amount} on instrument {instrument}, which no strategy holds")
        total = ZERO
        for _, pair in holders:
            total = _add(total, pair.position.qty)
        left = amount
        for _, pair in holders[:-1]:
            part = self._share(instrument, amount, pair.position.qty, total)
            pair.funding = _add(pair.funding, part)
            left = _subtract(left, part)
        last = holders[-1][1]
        last.funding = _add(last.funding, left)

    def contributions(self, marks: Sequence[Decimal]) -> list[Contribution]:
        """Return one contribution for each pair, positions at `marks` (prices by instrument; unused while flat)."""
        return [
            self._contribution(strategy_id, instrument, pair, marks[instrument])
            for (strategy_id, instrument), pair in self._pairs.items()
        ]

    def _contribution(self, strategy_id: str, instrument: int, pair: _Pair, mark: Decimal) -> Contribution:
        unrealized = (
            pair.position.unrealized_pnl(mark) if pair.position.qty else pair.position.cost.copy_negate()
        )
        realized = pair.position.realized_pnl
        pnl = _add(_subtract(_add(realized, unrealized), pair.fees), pair.funding)
        return Contribution(
            strategy_id=strategy_id,
            instrument=instrument,
            n_fills=pair.n_fills,
            traded_notional=pair.traded_notional,
            realized_pnl=realized,
            unrealized_pnl=unrealized,
            fees=pair.fees,
            funding=pair.funding,
            pnl=pnl,
        )

    def _book(self, fill: AccountFill) -> None:
        key = (fill.strategy_id, fill.instrument)
        pair = self._pairs.get(key)
        if pair is None:
            pair = self._pairs[key] = _Pair()
        signed, notional = fill.qty, fill.notional
        traded = notional
        if fill.side is not BUY:
            signed, traded = signed.copy_negate(), notional.copy_negate()
        pair.position = pair.position.after_trade(signed, traded)
        if fill.fee_in_base and fill.fee:
            pair.position = pair.position.after(fill.fee.copy_negate(), fill.price)
        pair.fees = _add(pair.fees, fill.fee_value)
        pair.traded_notional = _add(pair.traded_notional, notional)
        pair.n_fills += 1

    # The last holder gets what is left, so that the parts are the fill whatever was rounded before.
    def _parts(self, fill: AccountFill) -> tuple[AccountFill, ...]:
        holders = self._holders(fill.instrument)
        if not holders:
            raise InvariantError(f"instrument {fill.instrument} was liquidated, which no strategy holds")
        gross = ZERO
        for _, pair in holders:
            gross = _add(gross, pair.position.qty.copy_abs())
        left = fill.qty if fill.side is BUY else fill.qty.copy_negate()
        fee_left = fill.fee
        parts = []
        for strategy_id, pair in holders[:-1]:
            closed = pair.position.qty.copy_negate()
            fee = self._share(fill.instrument, fill.fee, closed.copy_abs(), gross)
            left, fee_left = _subtract(left, closed), _subtract(fee_left, fee)
            parts.append(_part(fill, strategy_id, closed, fee))
        return (*parts, _part(fill, holders[-1][0], left, fee_left))

    def _holders(self, instrument: int) -> list[tuple[str, _Pair]]:
        return [
            (strategy_id, pair)
            for (strategy_id, index), pair in self._pairs.items()
            if index == instrument and pair.position.qty
        ]

    def _share(self, instrument: int, amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
        return round_down(share(amount, part, whole), self._steps[instrument]) if whole else ZERO


def _part(fill: AccountFill, strategy_id: str, signed: Decimal, fee: Decimal) -> AccountFill:
    return msgspec.structs.replace(
        fill, strategy_id=strategy_id, side=BUY if signed > 0 else SELL, qty=signed.copy_abs(), fee=fee
    )


def by_instrument(pairs: Sequence[Contribution]) -> list[Contribution]:
    """Return the sums of each instrument, in the order of their indices."""
    indices = sorted({pair.instrument for pair in pairs if pair.instrument is not None})
    return [_sum([pair for pair in pairs if pair.instrument == index], None, index) for index in indices]


def by_strategy(pairs: Sequence[Contribution]) -> list[Contribution]:
    """Return the sums of each strategy, in the order of first appearance."""
    names = list(dict.fromkeys(pair.strategy_id for pair in pairs))
    return [_sum([pair for pair in pairs if pair.strategy_id == name], name, None) for name in names]


def in_all(pairs: Sequence[Contribution]) -> Contribution:
    """Return the sum of all."""
    return _sum(pairs, None, None)


def agree(pairs: Sequence[Contribution], profit: Decimal) -> None:
    """Assert that the contributions add up to the account's `profit`, to the last digit.

    Raises:
        InvariantError: They do not.
    """
    total = in_all(pairs).pnl
    if total != profit:
        raise InvariantError(f"the account's profit is {profit}, its contributions add up to {total}")


def _sum(rows: Sequence[Contribution], strategy_id: str | None, instrument: int | None) -> Contribution:
    def total(name: str) -> Decimal:
        found = ZERO
        for row in rows:
            found = _add(found, getattr(row, name))
        return found

    return Contribution(
        strategy_id=strategy_id,
        instrument=instrument,
        n_fills=sum(row.n_fills for row in rows),
        traded_notional=total("traded_notional"),
        realized_pnl=total("realized_pnl"),
        unrealized_pnl=total("unrealized_pnl"),
        fees=total("fees"),
        funding=total("funding"),
        pnl=total("pnl"),
    )
