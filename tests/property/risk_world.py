"""What a gate should know, kept naively beside the real one: orders, positions, prices, days, in fractions and lists.

`World` is fed the same messages as the gate and remembers everything. Nothing of the gate or its books is called here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import msgspec

from njord.core.contracts import AmendEvent, FillEvent, KillSwitchState, OrderEvent, OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import Side

DAY_NS = 86_400 * 10**9


@dataclass
class Order:
    event: OrderEvent
    left: int
    is_open: bool = True
    filled: int = 0
    siblings_filled: int = 0
    entry: "Order | None" = None
    at_venue: tuple[int, int, int] = (0, 0, 0)  # Quantity, limit and trigger, as the venue has them.
    pending: list[AmendEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        event = self.event
        self.at_venue = (event.qty_lots, event.limit_price_ticks, event.trigger_price_ticks)

    @property
    def sign(self) -> int:
        return 1 if self.event.side is Side.BUY else -1

    def count(self) -> None:
        """Count the largest of what the venue has and what it was asked for."""
        asked = [(each.qty_lots, each.limit_price_ticks, each.trigger_price_ticks) for each in self.pending]
        qty, limit, trigger = (max(each) for each in zip(self.at_venue, *asked, strict=True))
        names = ("qty_lots", "limit_price_ticks", "trigger_price_ticks")
        changes: dict[str, Any] = dict(zip(names, (qty, limit, trigger), strict=True))
        self.event = msgspec.structs.replace(self.event, **changes)
        self.left = qty - self.filled

    def shrink(self, lots: int) -> None:
        """So many lots will never fill."""
        qty, limit, trigger = self.at_venue
        self.at_venue = (max(self.filled, qty - lots), limit, trigger)
        self.count()

    @property
    def fillable(self) -> int:
        """What may fill now: of an exit, what its entry has filled and its group has not closed."""
        if self.entry is None or not self.entry.is_open:
            return self.left
        return max(0, min(self.left, self.entry.filled - self.filled - self.siblings_filled))


@dataclass
class Book:
    """One instrument's position by average cost, with the fees of what is open."""

    qty: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    entry_fees: Fraction = Fraction(0)
    last_loss_ns: int | None = None

    def apply(self, signed: Fraction, price: Fraction, fee: Fraction, ts_ns: int) -> None:
        closing = min(abs(signed), abs(self.qty)) if self.qty * signed < 0 else Fraction(0)
        opening = abs(signed) - closing
        sign = 1 if signed > 0 else -1
        if closing:
            exit_fee = fee * closing / abs(signed)
            fee -= exit_fee
            cost, fees = self.cost * closing / abs(self.qty), self.entry_fees * closing / abs(self.qty)
            gain = -sign * closing * price - cost - fees - exit_fee
            self.cost -= cost
            self.entry_fees -= fees
            self.qty += sign * closing
            if gain < 0:
                self.last_loss_ns = ts_ns
        self.qty += sign * opening
        self.cost += sign * opening * price
        self.entry_fees += fee


@dataclass
class World:
    instruments: tuple[Instrument, ...]
    rules: Mapping[str, Mapping[str, Any]]
    capital: Fraction
    cost_rate: Fraction
    leverage: tuple[int, ...]
    may_borrow: bool = False
    orders: list[Order] = field(default_factory=list)
    books: list[Book] = field(default_factory=list)
    cash: Fraction = Fraction(0)
    marks: dict[int, int] = field(default_factory=dict)
    mark_ts: dict[int, int] = field(default_factory=dict)
    intervals: dict[int, int] = field(default_factory=dict)
    readings: dict[str, KillSwitchState] = field(default_factory=dict)
    decided: list[str] = field(default_factory=list)
    approvals: list[tuple[int, str]] = field(default_factory=list)
    history: list[tuple[int, Fraction | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cash = self.capital
        self.books = [Book() for _ in self.instruments]

    # --- what happened ---

    def price(self, index: int, ticks: int) -> Fraction:
        return ticks * Fraction(self.instruments[index].tick_size)

    def qty(self, index: int, lots: int) -> Fraction:
        return lots * Fraction(self.instruments[index].lot_size)

    def fill(self, fill: FillEvent) -> None:
        signed = self.qty(fill.instrument, fill.qty_lots) * (1 if fill.side is Side.BUY else -1)
        price, fee = self.price(fill.instrument, fill.price_ticks), Fraction(fill.fee)
        self.cash -= signed * price + fee
        self.books[fill.instrument].apply(signed, price, fee, fill.ts_ns)
        for order in self.orders:
            if order.event.client_order_id != fill.client_order_id or not order.is_open:
                continue
            order.left -= fill.qty_lots
            order.filled += fill.qty_lots
            for other in self.open_orders():
                if (
                    order.event.group_id
                    and other.event.group_id == order.event.group_id
                    and other is not order
                ):
                    other.siblings_filled += fill.qty_lots
                    other.shrink(fill.qty_lots)

    def end(self, order: Order) -> None:
        """An order has ended: what its exits still waited for will never fill."""
        for exit_order in self.open_orders():
            if exit_order.entry is order:
                exit_order.shrink(exit_order.left - exit_order.fillable)
        order.is_open = False

    def note(self, ts_ns: int) -> None:
        """Remember the equity after a message."""
        self.history.append((ts_ns, self.equity()))

    # --- what is ---

    def of_intent(self, intent_id: str) -> Order | None:
        return next((order for order in self.open_orders() if order.event.intent_id == intent_id), None)

    def open_orders(self, index: int | None = None) -> list[Order]:
        return [o for o in self.orders if o.is_open and index in (None, o.event.instrument)]

    def equity(self) -> Fraction | None:
        total = self.cash
        for index, book in enumerate(self.books):
            if book.qty:
                if not self.marks.get(index):
                    return None
                total += book.qty * self.price(index, self.marks[index])
        return total

    def day_start(self, ts_ns: int) -> Fraction | None:
        day = -(-ts_ns // DAY_NS)
        before: Fraction | None = self.capital
        for ts, equity in self.history:
            if -(-ts // DAY_NS) < day:
                before = equity
        return before

    def fillable(self, intent: OrderIntent) -> int:
        entry = self.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        return intent.qty_lots if entry is None else min(intent.qty_lots, entry.filled)

    def signed(self, intent: OrderIntent) -> Fraction:
        return self.qty(intent.instrument, self.fillable(intent)) * (1 if intent.side is Side.BUY else -1)

    def signed_left(self, order: Order) -> Fraction:
        return order.sign * self.qty(order.event.instrument, order.fillable)

    def growth(self, intent: OrderIntent) -> Fraction:
        """How much of the intent moves away from flat, after all open orders of its side: lot by lot.

        Its group does not fill before it. An exit comes after its entry, from what was held before that.
        """
        lot = self.qty(intent.instrument, 1) * (1 if intent.side is Side.BUY else -1)
        qty = self.books[intent.instrument].qty
        entry = self.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        if entry is not None and entry.event.instrument == intent.instrument:
            before = qty - entry.sign * self.qty(intent.instrument, entry.filled)
            after = before + entry.sign * self.qty(intent.instrument, entry.filled + entry.left)
            opened = max(Fraction(0), after * entry.sign) - max(Fraction(0), before * entry.sign)
            return max(Fraction(0), intent.qty_lots * abs(lot) - opened)
        for sizes in self.choices(intent.instrument, intent.side, but_group=intent.group_id):
            qty += max(sizes, key=abs)
        grown = Fraction(0)
        for _ in range(intent.qty_lots):
            if abs(qty + lot) > abs(qty):
                grown += abs(lot)
            qty += lot
        return grown

    def reduces(self, intent: OrderIntent) -> bool:
        return not self.growth(intent)

    def choices(
        self, index: int, side: Side | None = None, but_group: str = "", own: OrderIntent | None = None
    ) -> list[list[Fraction]]:
        """For each open order, or group of them, what it may fill: nothing, or one of these sizes."""
        groups: dict[str, list[Fraction]] = {}
        for number, order in enumerate(self.open_orders(index)):
            if side in (None, order.event.side) and not (but_group and order.event.group_id == but_group):
                groups.setdefault(order.event.group_id or f"#{number}", []).append(self.signed_left(order))
        if own is not None:
            groups.setdefault(own.group_id or "#own", []).append(self.signed(own))
        return [[Fraction(0), *sizes] for sizes in groups.values()]

    def worst(self, index: int, own: OrderIntent | None = None) -> Fraction:
        """The largest |position| over everything that may fill."""
        held = self.books[index].qty
        return max(abs(held + sum(some)) for some in product(*self.choices(index, own=own)))

    def dearest(self, order: OrderIntent | OrderEvent) -> int:
        """The highest price in ticks that the order names; a trailing buy's is what it may start from."""
        mark = self.marks.get(order.instrument, 0)
        trails = order.trail_ticks and order.side is Side.BUY
        return max(
            mark,
            order.limit_price_ticks,
            order.trigger_price_ticks,
            mark + order.trail_ticks if trails else 0,
        )

    def reference(self, intent: OrderIntent) -> Fraction:
        return self.price(intent.instrument, self.dearest(intent))

    def cap(self, name: str, equity: Fraction | None, leverage: int = 1) -> Fraction | None:
        """The cap of a rule; None if it can not be known."""
        money, share = (
            Fraction(self.rules[name].get(key, 0)) for key in ("cap_notional", "cap_equity_fraction")
        )
        if not share:
            return money
        if equity is None:
            return None
        return min([max(Fraction(0), equity * leverage * share)] + ([money] if money else []))

    def is_off(self, name: str) -> bool:
        rule = self.rules.get(name, {})
        return not rule.get("cap_notional", 0) and not rule.get("cap_equity_fraction", 0)
