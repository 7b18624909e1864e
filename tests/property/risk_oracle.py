"""What each risk rule promises, said a second time and naively: fractions, lists, brute force. No rule is called here.

`World` is fed the same messages as the gate and remembers everything; `expected` names the first rule that an intent
would break, in the order in which the gate asks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, combinations
from typing import Any

from njord.core.contracts import FillEvent, KillSwitchState, OrderEvent, OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderType, RefusalReason, Side, TimeInForce, TradingState

DAY_NS = 86_400 * 10**9
R = RefusalReason


@dataclass
class Order:
    event: OrderEvent
    left: int
    is_open: bool = True

    @property
    def sign(self) -> int:
        return 1 if self.event.side is Side.BUY else -1


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
            if order.event.client_order_id == fill.client_order_id and order.is_open:
                order.left -= fill.qty_lots

    def note(self, ts_ns: int) -> None:
        """Remember the equity after a message."""
        self.history.append((ts_ns, self.equity()))

    # --- what is ---

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

    def signed(self, intent: OrderIntent) -> Fraction:
        return self.qty(intent.instrument, intent.qty_lots) * (1 if intent.side is Side.BUY else -1)

    def signed_left(self, order: Order) -> Fraction:
        return order.sign * self.qty(order.event.instrument, order.left)

    def growth(self, intent: OrderIntent) -> Fraction:
        """How much of the intent moves away from flat, after all open orders of its side: lot by lot."""
        lot = self.qty(intent.instrument, 1) * (1 if intent.side is Side.BUY else -1)
        qty = self.books[intent.instrument].qty
        for order in self.open_orders(intent.instrument):
            if order.event.side is intent.side:
                qty += self.signed_left(order)
        grown = Fraction(0)
        for _ in range(intent.qty_lots):
            if abs(qty + lot) > abs(qty):
                grown += abs(lot)
            qty += lot
        return grown

    def reduces(self, intent: OrderIntent) -> bool:
        return bool(self.books[intent.instrument].qty) and not self.growth(intent)

    def worst(self, index: int, extra: Fraction | None = None) -> Fraction:
        """The largest |position| over every subset of open orders filling."""
        sizes = [self.signed_left(order) for order in self.open_orders(index)]
        if extra is not None:
            sizes.append(extra)
        held = self.books[index].qty
        return max(abs(held + sum(some, Fraction(0))) for some in subsets(sizes))

    def reference(self, intent: OrderIntent) -> Fraction:
        ticks = self.marks[intent.instrument]
        if intent.type is OrderType.LIMIT:
            ticks = max(ticks, intent.limit_price_ticks)
        return self.price(intent.instrument, ticks)

    def cap(self, name: str, equity: Fraction | None) -> Fraction | None:
        """The cap of a rule; None if it can not be known."""
        money, share = (
            Fraction(self.rules[name].get(key, 0)) for key in ("cap_notional", "cap_equity_fraction")
        )
        if not share:
            return money
        if equity is None:
            return None
        return min([max(Fraction(0), equity * share)] + ([money] if money else []))

    def is_off(self, name: str) -> bool:
        rule = self.rules.get(name, {})
        return not rule.get("cap_notional", 0) and not rule.get("cap_equity_fraction", 0)

    # --- what the gate must say ---

    def expected(self, intent: OrderIntent) -> RefusalReason | None:
        """The first broken promise, in the order in which the gate asks."""
        for broken in self._broken(intent):
            if broken is not None:
                return broken
        return None

    def _broken(self, intent: OrderIntent) -> Iterator[RefusalReason | None]:
        well_formed = self.is_well_formed(intent)
        yield self._kill_switch(intent)
        yield None if well_formed else R.INTENT_MALFORMED
        yield R.INTENT_DUPLICATE if intent.intent_id in self.decided else None
        allowed = self.rules["symbol_allowed"]["symbols"]
        symbol = self.instruments[intent.instrument].symbol
        yield R.SYMBOL_NOT_ALLOWED if allowed and symbol not in allowed else None
        yield self._filters(intent)
        yield self._market_price(intent)
        yield self._collar(intent)
        yield R.REDUCE_ONLY_INCREASES if intent.reduce_only and not self.reduces(intent) else None
        full = len(self.open_orders()) >= self.rules["open_orders"]["cap"]
        yield R.OPEN_ORDERS_EXCEED_CAP if full else None
        yield self._rate(intent)
        if self.reduces(intent):
            return  # No cap may lock anyone into a position.
        yield self._cool_down(intent)
        yield self._daily_loss(intent)
        yield self._order_notional(intent)
        yield self._position(intent)
        yield self._gross(intent)
        yield self._affordable(intent)

    def is_well_formed(self, intent: OrderIntent) -> bool:
        numbers: list[Any] = [intent.instrument, intent.qty_lots, intent.limit_price_ticks, intent.ts_ns]
        if any(isinstance(number, bool) or not isinstance(number, int) for number in numbers):
            return False
        texts: list[Any] = [intent.intent_id, intent.strategy_id, intent.account_id, intent.parent_id]
        if any(not isinstance(text, str) or "\ud800" in text for text in texts):
            return False
        words = (
            (intent.side, Side),
            (intent.type, OrderType),
            (intent.tif, TimeInForce),
            (intent.reduce_only, bool),
        )
        return (
            all(isinstance(value, kind) for value, kind in words)
            and 0 <= intent.instrument < len(self.instruments)
            and 1 <= intent.qty_lots < 2**63
            and 0 <= intent.limit_price_ticks < 2**63
            and (intent.limit_price_ticks > 0) == (intent.type == OrderType.LIMIT)
            and bool(intent.intent_id)
            and bool(intent.strategy_id)
        )

    def _kill_switch(self, intent: OrderIntent) -> RefusalReason | None:
        if not self.readings:
            return R.KILL_SWITCH_UNKNOWN
        states = set()
        for reading in self.readings.values():
            if not reading.ts_ns <= intent.ts_ns <= reading.valid_until_ns:
                return R.KILL_SWITCH_UNKNOWN
            states.add(reading.state)
        if states - {TradingState.ACTIVE, TradingState.REDUCE_ONLY}:
            return R.KILL_SWITCH_HALTED
        if TradingState.REDUCE_ONLY not in states:
            return None
        is_plain = (
            all(type(v) is int for v in (intent.instrument, intent.qty_lots)) and type(intent.side) is Side
        )
        if is_plain and 0 <= intent.instrument < len(self.instruments) and 0 < intent.qty_lots <= 10_000:
            return None if self.reduces(intent) else R.KILL_SWITCH_REDUCE_ONLY
        return R.KILL_SWITCH_REDUCE_ONLY

    def _filters(self, intent: OrderIntent) -> RefusalReason | None:
        instrument, index = self.instruments[intent.instrument], intent.instrument
        qty = self.qty(index, intent.qty_lots)
        if qty < Fraction(instrument.min_qty):
            return R.QTY_BELOW_MIN
        if instrument.max_qty and qty > Fraction(instrument.max_qty):
            return R.QTY_ABOVE_MAX
        if not instrument.min_notional:
            return None
        ticks = intent.limit_price_ticks or self.marks.get(index, 0)
        if not ticks:
            return R.PRICE_UNKNOWN
        return (
            R.NOTIONAL_BELOW_MIN
            if qty * self.price(index, ticks) < Fraction(instrument.min_notional)
            else None
        )

    def _market_price(self, intent: OrderIntent) -> RefusalReason | None:
        index, rule = intent.instrument, self.rules["market_price"]
        if not self.marks.get(index):
            return R.PRICE_UNKNOWN
        age = intent.ts_ns - self.mark_ts[index]
        limits = []
        if rule.get("max_age_ns"):
            limits.append(rule["max_age_ns"])
        if rule.get("max_age_intervals") and index in self.intervals:
            limits.append(rule["max_age_intervals"] * self.intervals[index])
        return R.PRICE_STALE if not limits or not 0 <= age <= min(limits) else None

    def _collar(self, intent: OrderIntent) -> RefusalReason | None:
        if intent.type is OrderType.MARKET:
            return None
        mark = self.marks[intent.instrument]
        distance = Fraction(abs(intent.limit_price_ticks - mark), mark)
        too_far = distance > Fraction(self.rules["price_collar"]["max_distance_fraction"])
        return R.PRICE_OUTSIDE_COLLAR if too_far else None

    def _rate(self, intent: OrderIntent) -> RefusalReason | None:
        rule, since = self.rules["order_rate"], intent.ts_ns - 60 * 10**9
        recent = [owner for ts, owner in self.approvals if ts > since]
        if len(recent) >= rule["per_minute"]:
            return R.ORDER_RATE_EXCEEDED
        own = rule["per_strategy_per_minute"]
        return R.STRATEGY_RATE_EXCEEDED if own and recent.count(intent.strategy_id) >= own else None

    def _cool_down(self, intent: OrderIntent) -> RefusalReason | None:
        seconds, last = self.rules["cool_down"]["seconds"], self.books[intent.instrument].last_loss_ns
        if not seconds or last is None:
            return None
        return R.COOLING_DOWN if intent.ts_ns - last < seconds * 10**9 else None

    def _daily_loss(self, intent: OrderIntent) -> RefusalReason | None:
        if self.is_off("daily_loss"):
            return None
        start, now = self.day_start(intent.ts_ns), self.equity()
        cap = self.cap("daily_loss", start)
        if start is None or now is None or cap is None:
            return R.PRICE_UNKNOWN
        return R.DAILY_LOSS_EXCEEDED if start - now >= cap else None

    def _order_notional(self, intent: OrderIntent) -> RefusalReason | None:
        if self.is_off("max_order_notional"):
            return None
        cap = self.cap("max_order_notional", self.equity())
        if cap is None:
            return R.PRICE_UNKNOWN
        return R.NOTIONAL_EXCEEDS_CAP if self.growth(intent) * self.reference(intent) > cap else None

    def _position(self, intent: OrderIntent) -> RefusalReason | None:
        after = self.worst(intent.instrument, self.signed(intent))
        if self.is_off("max_position") or after <= self.worst(intent.instrument):
            return None
        cap = self.cap("max_position", self.equity())
        if cap is None:
            return R.PRICE_UNKNOWN
        return R.POSITION_EXCEEDS_CAP if after * self.reference(intent) > cap else None

    def _gross(self, intent: OrderIntent) -> RefusalReason | None:
        total = self.worst(intent.instrument, self.signed(intent))
        if self.is_off("max_gross") or total <= self.worst(intent.instrument):
            return None
        cap = self.cap("max_gross", self.equity())
        if cap is None:
            return R.PRICE_UNKNOWN
        total *= self.reference(intent)
        for index in range(len(self.instruments)):
            worst = self.worst(index)
            if index == intent.instrument or not worst:
                continue
            if not self.marks.get(index):
                return R.PRICE_UNKNOWN
            total += worst * self.price(index, self.marks[index])
        return R.GROSS_EXCEEDS_CAP if total > cap else None

    def _affordable(self, intent: OrderIntent) -> RefusalReason | None:
        is_spot = self.instruments[intent.instrument].kind is InstrumentKind.SPOT
        if is_spot and intent.side is Side.SELL:
            return R.NAKED_SHORT
        equity, needed = self.equity(), self.needed(intent)
        if equity is None or needed is None:
            return R.PRICE_UNKNOWN
        return R.CASH_INSUFFICIENT if needed > equity else None

    def needed(self, intent: OrderIntent) -> Fraction | None:
        """The backing at 1x of all positions and open orders, costs of what is traded included."""
        worth = self.qty(intent.instrument, intent.qty_lots) * self.reference(intent)
        total = worth * Fraction(self.rules["affordable"].get("buffer_bps", 0)) / 10_000
        for index in range(len(self.instruments)):
            held, ticks = self.books[index].qty, self.marks.get(index, 0)
            sides = []
            for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
                lots = [
                    (order.left, max(ticks, order.event.limit_price_ticks))
                    for order in self.open_orders(index)
                    if order.event.side is side and order.left
                ]
                is_own = index == intent.instrument and side is intent.side
                if is_own:
                    lots.append((intent.qty_lots, max(ticks, intent.limit_price_ticks)))
                if not ticks and (held or lots):
                    return None
                if index == intent.instrument and not is_own:
                    continue
                closed_at = ticks if side is Side.BUY else min((at for _, at in lots), default=0)
                sides.append(self._backing(index, held * sign, lots, ticks, closed_at))
            total += max(sides)
        return total

    def backed(self, filled: tuple[Order, ...], own: int) -> bool:
        """Whether 1x equity stands behind all positions after these orders filled at the prices known now.

        Where the position of `own` ends no larger than it is, nothing more has to be backed there.
        """
        equity, gross = self.equity(), Fraction(0)
        if equity is None:
            return False
        for index, book in enumerate(self.books):
            mark, qty = self.marks.get(index, 0), book.qty
            for order in filled:
                if order.event.instrument != index:
                    continue
                left = self.signed_left(order)
                paid = max(mark, order.event.limit_price_ticks) if order.sign > 0 else mark
                equity -= abs(left) * self.price(index, paid - mark)
                qty += left
                if index == own:
                    equity -= abs(left) * self.price(index, paid) * self.cost_rate
            if index == own and abs(qty) <= abs(book.qty):
                return True
            gross += abs(qty) * self.price(index, mark)
        return gross <= equity

    # `held` is signed as seen from the orders' side: negative = they close.
    def _backing(
        self, index: int, held: Fraction, lots: list[tuple[int, int]], ticks: int, closed_at: int
    ) -> Fraction:
        stands = abs(held) * self.price(index, ticks)
        traded = sum((self.qty(index, n) * self.price(index, at) for n, at in lots), Fraction(0))
        qty = sum((self.qty(index, n) for n, _ in lots), Fraction(0))
        if held >= 0:
            return stands + traded * (1 + self.cost_rate)
        if qty <= -held:
            return stands
        return traded * (1 + self.cost_rate) + held * self.price(index, closed_at)


def subsets(values: list[Fraction]) -> Iterator[tuple[Fraction, ...]]:
    return chain.from_iterable(combinations(values, n) for n in range(len(values) + 1))
