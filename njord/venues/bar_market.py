"""What does a bar do to the working orders? First what its open decides, oldest first; then what it touched later.

The rules are in the docstring of `simulated.py`; the comparison of one order with one bar is in `kernels/matching.py`;
the order of events inside a bar in `bar_path.py`.
"""

from njord.core.contracts import Bar
from njord.core.types import OrderReason, OrderStatus
from njord.kernels.matching import AT_OPEN, INSIDE, NO_FILL, limit_fill, reached_after, stop_fill
from njord.kernels.triggers import is_triggered, trailed
from njord.venues.bar_path import ANY, BarPath, Event
from njord.venues.desk import Desk
from njord.venues.slippage import Slippage
from njord.venues.working import FOK, GTD, IOC, TRAILING_STOP, Working

_CANCELED = OrderStatus.CANCELED
_NO_LIMIT = -1


class BarMarket:
    """Matches bars with a desk's orders.

    Args:
        desk: Whose orders, and who books what fills.
    """

    def __init__(self, desk: Desk) -> None:
        terms = desk.terms
        self._desk = desk
        self._slippage = Slippage(terms)
        self._share = terms.max_volume_share.as_integer_ratio()
        self._latency_ns = terms.entry_latency_ns
        self._self_trade = terms.self_trade
        self._is_perpetual = terms.account == "perpetual"
        self._left = _NO_LIMIT  # Lots that this bar still lets us trade.
        self._opened_ns = 0  # What was sent until then sees the bar.
        self._woken: dict[str, Working] = {}  # Exits whose entry filled inside this bar.

    def waited_ns(self, interval_ns: int) -> int:
        """Return what the way to the venue takes on bars of that length: whole bars, so nothing below one."""
        return self._latency_ns // interval_ns * interval_ns if self._latency_ns else 0

    def match(self, bar: Bar, orders: list[Working]) -> None:
        """Let a bar meet `orders`, the working ones of its instrument from the oldest to the newest."""
        low, high = bar.low, bar.high
        if not (low <= bar.open <= high and low <= bar.close <= high):
            bar = _flat(bar)
        opened = bar.ts_open_ns
        if self._latency_ns:
            opened -= self.waited_ns(bar.ts_ns - opened)
        self._opened_ns = opened
        self._left = bar.volume_lots * self._share[0] // self._share[1] if self._share[0] else _NO_LIMIT
        if self._is_perpetual:
            self._liquidate_at_open(bar)
        later: list[Event] = []
        slept: list[Working] = []
        has_special = False
        for order in orders:
            if not order.is_plain:
                has_special = True
            if order.from_ns > opened or not order.is_open:
                continue
            if order.is_asleep:
                slept.append(order)
            elif order.is_plain and not order.limit_ticks:
                self._take(order, bar.open, bar, bar.ts_open_ns)
            else:
                opens = self._open_limit if order.is_plain else self._open
                if (event := opens(order, bar, orders)) is not None:
                    later.append(event)
        for order in slept:  # An amended entry comes after its exits, and may have woken them.
            if (
                order.is_open
                and not order.is_asleep
                and (event := self._open(order, bar, orders)) is not None
            ):
                later.append(event)
        if self._is_perpetual:
            self._desk.pay_funding(bar.instrument, bar.ts_ns - 1, bar.open)
        if later or (self._is_perpetual and self._desk.account.n_contracts):
            self._inside(bar, later)
        if has_special:
            self._follow(bar, orders)

    # What the open does to an order with links, conditions or an expiry; an event if the bar touches it later.
    def _open(self, order: Working, bar: Bar, orders: list[Working]) -> Event | None:
        if not self._is_live(order, bar):
            return None
        if not order.is_triggered:
            return self._open_conditional(order, bar)
        if not order.limit_ticks:
            self._take(order, bar.open, bar, bar.ts_open_ns)
            return None
        return self._open_limit(order, bar, orders)

    def _open_limit(self, order: Working, bar: Bar, orders: list[Working]) -> Event | None:
        phase, price = limit_fill(order.sign, order.limit_ticks, bar.open, bar.high, bar.low)
        if order.is_resting:
            if phase == AT_OPEN:
                self._make(order, price, bar.ts_open_ns)
                return None
        else:
            if len(orders) > 1 and self._is_self_trade(order, orders, bar.ts_open_ns):
                return None
            if phase == AT_OPEN:
                self._arrive_at_open(order, price, bar)
                return None
            if self._gave_up(order, bar.ts_open_ns):
                return None
            order.is_resting = True
        if phase == INSIDE:
            cap_lots = order.qty_lots if order.is_plain else self._desk.allowed_lots(order)
            return Event(price, order, cap_lots, False)
        return None

    def _arrive_at_open(self, order: Working, price: int, bar: Bar) -> None:
        if order.req.post_only:
            self._desk.end(order, _CANCELED, OrderReason.POST_ONLY_WOULD_TAKE, bar.ts_open_ns)
            return
        self._take(order, price, bar, bar.ts_open_ns)
        order.is_resting = True  # What the bar's volume left of it.

    def _open_conditional(self, order: Working, bar: Bar) -> Event | None:
        if order.req.type is TRAILING_STOP:
            order.trigger_ticks = trailed(order.sign, order.trigger_ticks, order.req.trail_ticks, bar.open)
        is_profit = order.is_take_profit
        phase, price = stop_fill(order.sign, is_profit, order.trigger_ticks, bar.open, bar.high, bar.low)
        if phase == NO_FILL:
            return None
        if phase == INSIDE:
            return Event(price, order, self._desk.allowed_lots(order), not is_profit)
        self._trigger(order, bar.ts_open_ns)
        if not order.limit_ticks:
            self._take(order, price, bar, bar.ts_open_ns)
            return None
        return self._open_limit(order, bar, [order])

    # Whether an order with conditions may act now: not expired, not shut by its links.
    def _is_live(self, order: Working, bar: Bar) -> bool:
        if order.req.tif is GTD and order.req.expire_ns <= bar.ts_open_ns:
            self._expire(order)
            return False
        return self._desk.allowed_lots(order) > 0

    def _expire(self, order: Working) -> None:
        self._desk.end(order, OrderStatus.EXPIRED, OrderReason.GTD_EXPIRED, order.req.expire_ns)

    def _trigger(self, order: Working, ts_ns: int) -> None:
        order.is_triggered = True
        self._desk.tell(order, OrderReason.TRIGGERED, ts_ns)

    # An order that must fill at once and can not, ends.
    def _gave_up(self, order: Working, ts_ns: int) -> bool:
        tif = order.req.tif
        if tif is not IOC and tif is not FOK:
            return False
        reason = OrderReason.IOC_REMAINDER if tif is IOC else OrderReason.FOK_UNFILLED
        self._desk.end(order, _CANCELED, reason, ts_ns)
        return True

    # What may fill of an order now: what its links, the bar's volume and fill-or-kill leave.
    def _fillable(self, order: Working, cap_lots: int) -> int:
        lots = min(self._desk.allowed_lots(order), cap_lots)
        if self._left >= 0:
            lots = min(lots, self._left)
        return 0 if order.req.tif is FOK and lots < order.remaining_lots else lots

    def _take(self, order: Working, seen: int, bar: Bar, ts_ns: int, cap_lots: int | None = None) -> bool:
        if order.is_plain and self._left < 0:
            lots = order.qty_lots - order.filled_lots
        else:
            lots = self._fillable(order, order.remaining_lots if cap_lots is None else cap_lots)
        is_filled = False
        if lots:
            sign, limit = order.sign, order.limit_ticks
            paid = self._slippage.paid_ticks(seen, sign, lots, bar.volume_lots)
            if limit:
                paid = min(paid, limit) if sign > 0 else max(paid, limit)
            is_filled = self._desk.execute(order, lots, paid, False, ts_ns)
            if is_filled and paid != seen:
                self._desk.add_slippage(order.req.instrument, paid - seen, lots)
            if is_filled and self._left >= 0:
                self._left -= lots
        if order.is_open:
            self._gave_up(order, ts_ns)
        return is_filled

    def _make(self, order: Working, price: int, ts_ns: int, cap_lots: int | None = None) -> bool:
        if order.is_plain and self._left < 0:
            lots = order.qty_lots - order.filled_lots
        else:
            lots = self._fillable(order, order.remaining_lots if cap_lots is None else cap_lots)
        if not lots or not self._desk.execute(order, lots, price, True, ts_ns):
            return False
        if self._left >= 0:
            self._left -= lots
        return True

    # Two limit orders of ours that cross: the one that arrives, the one that rests, or both end.
    def _is_self_trade(self, order: Working, orders: list[Working], ts_ns: int) -> bool:
        if self._self_trade == "none":
            return False
        crossed = [
            other
            for other in orders
            if other.is_resting
            and other.is_open
            and other.sign != order.sign
            and other.limit_ticks
            and order.sign * (order.limit_ticks - other.limit_ticks) >= 0
            and not other.is_exit_or_entry_of(order)
        ]
        if not crossed:
            return False
        if self._self_trade != "expire_taker":
            for other in crossed:
                if other.is_open:
                    self._desk.end(other, OrderStatus.EXPIRED, OrderReason.SELF_TRADE, ts_ns)
        if self._self_trade != "expire_maker" and order.is_open:
            self._desk.end(order, OrderStatus.EXPIRED, OrderReason.SELF_TRADE, ts_ns)
        return not order.is_open

    # --- inside the bar ---

    def _inside(self, bar: Bar, later: list[Event]) -> None:
        has_path = self._is_perpetual or self._desk.links.is_used
        if len(later) == 1 and not has_path and later[0].order.is_plain:
            if later[0].order.is_open:  # A newer order that crosses it may have ended it at the open.
                self._make(later[0].order, later[0].level, bar.ts_ns)
            return
        later = [each for each in later if _outlives(each.order, bar)]
        path = BarPath(bar, later, self._ruin)
        while (event := path.next()) is not None:
            if isinstance(event, int):
                self._desk.liquidate(bar.instrument, event, bar.ts_ns)
            elif event.order.is_open:
                self._reach(path, event, bar)

    # The price has come to an order's limit or trigger.
    def _reach(self, path: BarPath, event: Event, bar: Bar) -> None:
        index, order = bar.instrument, event.order
        held = self._desk.account.held[index].copy_abs()
        if order.is_triggered:
            is_filled = self._make(order, event.level, bar.ts_ns, event.cap_lots)
        else:
            self._trigger(order, bar.ts_ns)
            is_filled = self._work_inside(order, event, bar)
        if not is_filled:
            return
        if self._desk.account.held[index].copy_abs() > held:
            path.grew(event)
        if self._desk.links.is_used:
            self._wake(path, order, event, bar)

    # A triggered order goes on as a market or limit order, with what the bar still allows.
    def _work_inside(self, order: Working, event: Event, bar: Bar) -> bool:
        limit, at = order.limit_ticks, event.level
        if not limit:
            return self._take(order, at, bar, bar.ts_ns, event.cap_lots)
        if order.sign * (limit - at) >= 0:
            if order.req.post_only:
                self._desk.end(order, _CANCELED, OrderReason.POST_ONLY_WOULD_TAKE, bar.ts_ns)
                return False
            is_filled = self._take(order, at, bar, bar.ts_ns, event.cap_lots)
            order.is_resting = True
            return is_filled
        if self._gave_up(order, bar.ts_ns):
            return False
        order.is_resting = True
        if not reached_after(limit, at, event.direction, bar.high, bar.low, bar.close):
            return False
        event.level = limit
        event.direction = event.direction if event.direction * (limit - at) > 0 else 0
        return self._make(order, limit, bar.ts_ns, event.cap_lots)

    # An entry has filled inside the bar: its stops may act by prices that must have come after, its profits may not.
    def _wake(self, path: BarPath, entry: Working, event: Event, bar: Bar) -> None:
        for order in tuple(self._desk.exits_of(entry)):
            self._woken[order.req.client_order_id] = order
            may_act = order.is_open and order.from_ns <= self._opened_ns and _outlives(order, bar)
            if order.is_triggered or order.is_take_profit or not may_act:
                continue
            if order.req.type is TRAILING_STOP:
                order.trigger_ticks = trailed(
                    order.sign, order.trigger_ticks, order.req.trail_ticks, event.level
                )
            trigger = order.trigger_ticks
            cap_lots = self._desk.allowed_lots(order)
            if is_triggered(order.sign, False, trigger, event.level):
                path.insert_now(event.level, order, cap_lots)
            elif reached_after(trigger, event.level, event.direction, bar.high, bar.low, bar.close):
                path.insert(trigger, order, cap_lots, event)

    # --- margin, and the end of the bar ---

    def _liquidate_at_open(self, bar: Bar) -> None:
        index = bar.instrument
        ruin = self._desk.account.ruin_ticks(index)
        held = self._desk.account.held[index]
        if ruin and ((bar.open <= ruin) if held > 0 else (bar.open >= ruin)):
            self._desk.liquidate(index, bar.open, bar.ts_open_ns)

    # The price that ruins the account if the bar still reaches it after a moment, and which way it lies.
    def _ruin(self, bar: Bar, at: int, direction: int) -> tuple[int, int] | None:
        ruin = self._desk.account.ruin_ticks(bar.instrument) if self._is_perpetual else 0
        if not ruin:
            return None
        toward = -1 if self._desk.account.held[bar.instrument] > 0 else 1
        if toward * (at - ruin) >= 0:
            return at, toward
        moves = toward if direction in (ANY, toward) else 0
        return (ruin, toward) if reached_after(ruin, at, moves, bar.high, bar.low, bar.close) else None

    # After the bar: what has expired in it ends, and trailing stops follow the best price for the bars to come.
    def _follow(self, bar: Bar, orders: list[Working]) -> None:
        for order in orders:
            if order.is_plain or not order.is_open:
                continue
            req = order.req
            if req.tif is GTD and req.expire_ns <= bar.ts_ns:
                self._expire(order)
            elif req.type is TRAILING_STOP and not order.is_triggered and not order.is_asleep:
                saw_all = order.from_ns <= self._opened_ns and req.client_order_id not in self._woken
                best = (bar.low if order.sign > 0 else bar.high) if saw_all else bar.close
                order.trigger_ticks = trailed(order.sign, order.trigger_ticks, req.trail_ticks, best)
        if self._woken:
            self._woken.clear()


# An order that expires inside a bar is certain of its open only.
def _outlives(order: Working, bar: Bar) -> bool:
    return order.req.tif is not GTD or order.req.expire_ns >= bar.ts_ns


# Of a bar that contradicts itself only the open is believed.
def _flat(bar: Bar) -> Bar:
    return Bar(
        ts_ns=bar.ts_ns,
        instrument=bar.instrument,
        ts_open_ns=bar.ts_open_ns,
        open=bar.open,
        high=bar.open,
        low=bar.open,
        close=bar.open,
        volume_lots=bar.volume_lots,
    )
