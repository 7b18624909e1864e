"""The account at the simulated venue: what may be filled, what a fill does to it, and when margin has run out.

Shrinking a position is always funded. Growing one needs leverage x equity to cover the worth of all positions, fees
included: at leverage 1 that is cash for what is bought, and for what is sold short its worth once more. Positions other
than the one that trades count at their last price. A spot account may not sell what it does not hold; a margin account
may, and may borrow cash; both pay and receive a contract's worth like an asset's. In a perpetual account a contract
settles profit only, by average cost; assets in it are paid in full and back no contract.
"""

from collections.abc import Sequence
from decimal import Decimal

from njord.core.instrument import Instrument
from njord.core.position import Position
from njord.core.types import InstrumentKind, OrderReason
from njord.core.units import BPS, EXACT, ZERO
from njord.venues.terms import VenueTerms

_FLAT = Position()
_ONE = Decimal(1)
_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class CashAccount:
    """Cash and holdings of a spot or margin account.

    Args:
        instruments: What can be held.
        cash: Opening balance.
        marks: Last prices in ticks by instrument, kept by the venue.
        terms: Kind and leverage.
    """

    n_contracts = 0  # Open positions that funding or liquidation could touch.

    def __init__(
        self, instruments: Sequence[Instrument], cash: Decimal, marks: list[int], terms: VenueTerms
    ) -> None:
        self.cash = cash
        self.held = [ZERO] * len(instruments)
        self._instruments = instruments
        self._marks = marks
        self._leverage = terms.leverage
        self._is_lent = terms.leverage != 1
        self._may_short = [
            terms.account == "margin" or each.kind is not InstrumentKind.SPOT for each in instruments
        ]
        self._may_owe = self._is_lent or any(self._may_short)  # Where not, its cash alone backs what it buys.

    def trade(
        self,
        index: int,
        signed_qty: Decimal,
        price_ticks: int,
        cost: Decimal,
        fee: Decimal,
        is_in_kind: bool,
        reduce_only: bool,
    ) -> OrderReason | None:
        """Book a trade, or return why it may not happen.

        Args:
            index: The instrument.
            signed_qty: In base, a sale negative.
            price_ticks: What was traded at.
            cost: The notional, of a sale negative.
            fee: What is charged.
            is_in_kind: Whether in base, and not in quote.
            reduce_only: Whether the trade may only shrink the position.
        """
        held = self.held[index]
        held_after = _add(held, signed_qty)
        if is_in_kind:
            cash_after, held_after = _subtract(self.cash, cost), _subtract(held_after, fee)
        else:
            cash_after = _subtract(self.cash, _add(cost, fee))
        low, high = (held, ZERO) if held < ZERO else (ZERO, held)
        if not low <= held_after <= high:
            if reduce_only:
                return OrderReason.REDUCE_ONLY
            if held_after < ZERO and not self._may_short[index]:
                return OrderReason.INSUFFICIENT_FUNDS
            backing = cash_after
            if self._may_owe:
                backing = self._backing(index, cash_after, held_after, price_ticks)
            if backing < ZERO:
                return OrderReason.INSUFFICIENT_FUNDS
        self.cash, self.held[index] = cash_after, held_after
        return None

    # Leverage x equity minus the worth of all positions. At leverage 1 what is held long cancels out: its price need
    # not be known.
    def _backing(self, index: int, cash: Decimal, held: Decimal, price_ticks: int) -> Decimal:
        backing, gross = cash, ZERO
        for other, instrument in enumerate(self._instruments):
            qty = held if other == index else self.held[other]
            if qty < ZERO or (self._is_lent and qty):
                ticks = price_ticks if other == index else self._marks[other]
                worth = _multiply(qty, instrument.price(ticks))
                backing = _add(backing, worth)
                gross = _add(gross, worth.copy_abs())
        return _subtract(_multiply(backing, self._leverage) if self._is_lent else backing, gross)

    def receive(self, amount: Decimal) -> None:
        """Add a payment to cash; a negative one is paid."""
        self.cash = _add(self.cash, amount)

    def ruin_ticks(self, index: int, n_watched: int = 1) -> int:
        """Return the price at which the account is liquidated: none, so 0."""
        return 0


class PerpetualAccount:
    """Cash, contracts and assets of a perpetual account, all backed by one margin.

    Args:
        instruments: What can be held.
        cash: Opening balance.
        marks: Last prices in ticks by instrument, kept by the venue.
        terms: Leverage and maintenance margin.
    """

    def __init__(
        self, instruments: Sequence[Instrument], cash: Decimal, marks: list[int], terms: VenueTerms
    ) -> None:
        self.cash = cash
        self.held = [ZERO] * len(instruments)
        self.n_contracts = 0
        self._instruments = instruments
        self._marks = marks
        self._leverage = terms.leverage
        self._maintenance = _multiply(terms.maintenance_margin_bps, BPS)
        self._contracts: dict[int, Position] = {}  # Open ones.

    def trade(
        self,
        index: int,
        signed_qty: Decimal,
        price_ticks: int,
        cost: Decimal,
        fee: Decimal,
        is_in_kind: bool,
        reduce_only: bool,
    ) -> OrderReason | None:
        """Book a trade, or return why it may not happen; see CashAccount.trade."""
        instrument = self._instruments[index]
        is_contract = instrument.kind is not InstrumentKind.SPOT
        held = self.held[index]
        held_after = _add(held, signed_qty)
        if is_in_kind:
            held_after, fee = _subtract(held_after, fee), ZERO
        price = instrument.price(price_ticks)
        before, after = self._contracts.get(index, _FLAT), _FLAT
        if is_contract:
            after = before.after(signed_qty, price)
            cost = _subtract(before.realized_pnl, after.realized_pnl)
        cash_after = _subtract(self.cash, _add(cost, fee))
        is_same_side = not held_after or held_after.is_signed() is held.is_signed()
        if not is_same_side or held_after.copy_abs() > held.copy_abs():
            if reduce_only:
                return OrderReason.REDUCE_ONLY
            if held_after < 0 and not is_contract:
                return OrderReason.INSUFFICIENT_FUNDS
            if self._backing(index, cash_after, after, price_ticks) < 0:
                return OrderReason.INSUFFICIENT_FUNDS
        self.cash, self.held[index] = cash_after, held_after
        if is_contract:
            self._contracts.pop(index, None)
            if after.qty:
                self._contracts[index] = after
            self.n_contracts = len(self._contracts)
        return None

    # Leverage x (cash + unrealized profit) minus the worth of all contracts.
    def _backing(self, index: int, cash: Decimal, traded: Position, price_ticks: int) -> Decimal:
        equity, gross = cash, ZERO
        for other, position in {**self._contracts, index: traded}.items():
            ticks = price_ticks if other == index else self._marks[other]
            price = self._instruments[other].price(ticks)
            equity = _add(equity, position.unrealized_pnl(price))
            gross = _add(gross, position.value(price).copy_abs())
        return _subtract(_multiply(equity, self._leverage), gross)

    def receive(self, amount: Decimal) -> None:
        """Add a payment to cash; a negative one is paid."""
        self.cash = _add(self.cash, amount)

    def ruin_ticks(self, index: int, n_watched: int = 1) -> int:
        """Return the first price in ticks at which a contract's losses have used up the margin, 0 = there is none.

        Margin has run out when cash + unrealized profit does not exceed the maintenance margin, both over all
        contracts, the others at their last price. With `n_watched` > 1 the contract may use up only that part of
        what is left, so that no price can ruin the account unseen while every contract is watched.
        """
        position = self._contracts.get(index)
        if position is None:
            return 0
        is_long = position.qty > 0
        kept = _subtract(_ONE, self._maintenance) if is_long else _add(_ONE, self._maintenance)
        per_tick = _multiply(_multiply(position.qty.copy_abs(), kept), self._instruments[index].tick_size)
        whole, rest = EXACT.divmod(self._excess(), _multiply(per_tick, n_watched))
        distance = int(whole) + (1 if rest > 0 else 0)
        mark = self._marks[index]
        return max(0, mark - distance) if is_long else max(1, mark + distance)

    # Equity minus maintenance margin at the marks.
    def _excess(self) -> Decimal:
        excess = self.cash
        for other, position in self._contracts.items():
            price = self._instruments[other].price(self._marks[other])
            margin = _multiply(position.value(price).copy_abs(), self._maintenance)
            excess = _add(excess, _subtract(position.unrealized_pnl(price), margin))
        return excess
