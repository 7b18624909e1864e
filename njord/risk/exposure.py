"""Exposure: what the gate knows when it decides. Positions plus working orders, prices, the day, recent decisions.

The gate reserves an order here at the moment it approves it, so that two intents in one breath can not both use the
last of a limit. An order whose outcome is unknown is still a working order and still counts. All limits are measured
at the prices known when an intent is decided: what the market does until the fill is not in them.
"""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from njord.core.account import Account
from njord.core.contracts import Bar, FillEvent, KillSwitchState, OrderEvent, OrderIntent, PositionSnapshot
from njord.core.instrument import INT64_MAX, Instrument
from njord.core.orders import WorkingOrders
from njord.core.types import ACTIVE, BUY, LIMIT, SELL, Side, TradingState
from njord.core.units import BPS, EXACT, NS_PER_DAY, NS_PER_MINUTE, ZERO
from njord.risk.decided import DecidedIds
from njord.risk.losses import LossWatch

_UNASKED = Decimal("NaN")  # Told apart from any answer by identity.
_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class Exposure:
    """The state that risk rules read.

    Args:
        instruments: All instruments of the run.
        account: A mirror of the ledger's account, fed by its snapshots.
        cost_bps: Fee plus slippage to expect on top of a price.
    """

    def __init__(self, instruments: Sequence[Instrument], account: Account, cost_bps: Decimal) -> None:
        n = len(instruments)
        self.instruments = instruments
        self.account = account
        self.cost_bps = cost_bps
        self.cost_factor = _add(Decimal(1), _multiply(cost_bps, BPS))
        self.working = WorkingOrders()
        self.mark_ticks = [0] * n
        self.mark_ts_ns = [0] * n
        self.interval_ns = [0] * n  # Of the last bar; 0 while only trades were seen.
        self.kill_switch: KillSwitchState | None = None  # The strictest of all sources' last readings.
        self.kill_switch_from_ns = 0
        self.kill_switch_until_ns = 0  # When the first of those readings becomes too old.
        self.decided = DecidedIds()
        self.follows_losses = True  # A gate none of whose rules asks for it turns it off.
        self.last_loss_ns: dict[int, int] = {}
        self._readings: dict[str, KillSwitchState] = {}
        self._approved_ns: deque[tuple[int, str]] = deque()
        self._approved_by: dict[str, int] = {}
        self._losses = LossWatch(n)
        self._day_end_ns = 0
        self._weighed: OrderIntent | None = None
        self._growth: Decimal | None = None
        self._qty: Decimal | None = None
        self._worst: Decimal | None = None
        self._equity: Decimal | None = None
        self._worth_of = (0, ZERO, 0)
        self._worth = ZERO
        self.day_start_equity: Decimal | None = account.equity(self.mark_ticks)
        self.weigh(None)

    # --- following the engine's messages ---

    def observe_bar(self, bar: Bar) -> None:
        """Take over the close as the reference price."""
        ts_ns = bar.ts_ns
        if ts_ns > self._day_end_ns:
            self.advance(ts_ns)
        index, close = bar.instrument, bar.close
        # What is no price (only a broken feed could say it) leaves the price unknown, and so refuses.
        self.mark_ticks[index] = close if close > 0 else 0
        self.mark_ts_ns[index] = ts_ns
        self.interval_ns[index] = ts_ns - bar.ts_open_ns

    def observe_price(self, instrument: int, ticks: int, ts_ns: int) -> None:
        """Take over a trade's price as the reference price."""
        self.advance(ts_ns)
        self.mark_ticks[instrument] = ticks if ticks > 0 else 0
        self.mark_ts_ns[instrument] = ts_ns

    def observe_fill(self, fill: FillEvent) -> None:
        """Reduce what remains of the order; the position follows with the ledger's snapshot."""
        self.working.fill(fill)

    def observe_position(self, snapshot: PositionSnapshot) -> None:
        """Follow the ledger; remember when a fill closed something at a loss."""
        if snapshot.ts_ns > self._day_end_ns:
            self.advance(snapshot.ts_ns)
        self.account.adopt(snapshot)
        if self.follows_losses and self._losses.closed_at_loss(snapshot):
            self.last_loss_ns[snapshot.instrument] = snapshot.ts_ns

    def observe_kill_switch(self, reading: KillSwitchState) -> None:
        """Take over one source's reading; while sources differ the strictest counts."""
        self._readings[reading.source] = reading
        readings = self._readings.values()
        self.kill_switch = max(readings, key=_strictness)
        self.kill_switch_from_ns = max(each.ts_ns for each in readings)
        self.kill_switch_until_ns = min(each.valid_until_ns for each in readings)

    def reserve(self, order: OrderEvent) -> None:
        """Count an order from the moment of its approval."""
        self.working.approve(order)
        self._forget_approvals(order.ts_ns)
        self._approved_ns.append((order.ts_ns, order.strategy_id))
        self._approved_by[order.strategy_id] = self._approved_by.get(order.strategy_id, 0) + 1

    def advance(self, ts_ns: int) -> None:
        """Begin the UTC day of `ts_ns`, if it is a new one, with the equity at the last prices before it.

        What becomes known at exactly midnight tells of the day before: its last bar, that bar's fills, and what was
        decided on them. After a gap of several days the whole move counts to the day that first shows it.
        """
        if ts_ns > self._day_end_ns:
            self.day_start_equity = self.account.equity(self.mark_ticks)
            self._day_end_ns = -(-ts_ns // NS_PER_DAY) * NS_PER_DAY

    def weigh(self, intent: OrderIntent | None) -> None:
        """Remember what the rules find out until the next call: nothing changes while they are asked about one intent.

        Several rules ask the same; None ends it.
        """
        self._weighed = intent
        self._growth = self._qty = None
        self._worst = self._equity = _UNASKED

    # --- prices and quantities ---

    def reference_ticks(self, intent: OrderIntent) -> int:
        """Return the price that limits are checked at: the market's, or the order's own limit if that is higher.

        0 while no price is known.
        """
        mark = self.mark_ticks[intent.instrument]
        if mark and intent.type is LIMIT:
            return max(mark, intent.limit_price_ticks)
        return mark

    def worth(self, instrument: int, qty: Decimal, ticks: int) -> Decimal:
        """Return what `qty` (in base, >= 0) is worth at `ticks`, in quote.

        Several rules ask in a row, and of one order growth, position and gross are often the same quantity.
        """
        if self._worth_of != (instrument, qty, ticks):
            self._worth_of = (instrument, qty, ticks)
            self._worth = _multiply(qty, self.instruments[instrument].price(ticks))
        return self._worth

    def notional_of(self, intent: OrderIntent) -> Decimal | None:
        """Return the intent's worth at its reference price, in quote; None while no price is known."""
        ticks = self.reference_ticks(intent)
        return self.instruments[intent.instrument].notional(ticks, intent.qty_lots) if ticks else None

    def held_qty(self, instrument: int) -> Decimal:
        """Return the signed position in base."""
        return self.account.position(instrument).qty

    def working_qty(self, instrument: int, side: Side) -> Decimal:
        """Return the remaining quantity of all open orders of one side, in base."""
        buys, sells = self._open_qty(instrument)
        return buys if side is BUY else sells

    def worst_qty(self, instrument: int) -> Decimal:
        """Return the largest |position| that open orders could lead to, in base."""
        held = self.held_qty(instrument)
        buys, sells = self._open_qty(instrument)
        return max(held.copy_abs(), _add(held, buys).copy_abs(), _subtract(held, sells).copy_abs())

    def worst_qty_with(self, intent: OrderIntent) -> Decimal | None:
        """Return the largest |position| that open orders and this intent could lead to, None if it is no larger."""
        if intent is not self._weighed:
            return self._worst_qty_with(intent)
        if self._worst is _UNASKED:
            self._worst = self._worst_qty_with(intent)
        return self._worst

    def _worst_qty_with(self, intent: OrderIntent) -> Decimal | None:
        held = self.held_qty(intent.instrument)
        if not self.working:
            qty = self.intent_qty(intent)
            after = (_add if intent.side is BUY else _subtract)(held, qty).copy_abs()
            return after if after > held.copy_abs() else None
        buys, sells = self._open_qty(intent.instrument)
        long, short = _add(held, buys).copy_abs(), _subtract(held, sells).copy_abs()
        if intent.side is BUY:
            reached = _add(_add(held, buys), self.intent_qty(intent)).copy_abs()
        else:
            reached = _subtract(_subtract(held, sells), self.intent_qty(intent)).copy_abs()
        return reached if reached > max(held.copy_abs(), long, short) else None

    # Remaining quantities of all buys and of all sells.
    def _open_qty(self, index: int) -> tuple[Decimal, Decimal]:
        buys = sells = 0
        for order in self.working:
            if order.instrument != index:
                continue
            if order.side is BUY:
                buys += order.remaining_lots
            else:
                sells += order.remaining_lots
        if not buys and not sells:
            return ZERO, ZERO
        instrument = self.instruments[index]
        return instrument.qty(buys), instrument.qty(sells)

    def intent_qty(self, intent: OrderIntent) -> Decimal:
        """Return the intent's quantity in base."""
        if intent is not self._weighed:
            return self.instruments[intent.instrument].qty(intent.qty_lots)
        if self._qty is None:
            self._qty = self.instruments[intent.instrument].qty(intent.qty_lots)
        return self._qty

    def growth_qty(self, intent: OrderIntent) -> Decimal:
        """Return how much of the intent would not close a position, in base.

        Open orders of its side fill first: what they close is no longer there to be closed.
        """
        if intent is not self._weighed:
            return self._growth_qty(intent)
        if self._growth is None:
            self._growth = self._growth_qty(intent)
        return self._growth

    def _growth_qty(self, intent: OrderIntent) -> Decimal:
        held, qty = self.held_qty(intent.instrument), self.intent_qty(intent)
        if not held or (held > 0) is (intent.side is BUY):
            return qty
        closable = _subtract(held.copy_abs(), self.working_qty(intent.instrument, intent.side))
        return max(ZERO, _subtract(qty, max(ZERO, closable)))

    def reduces(self, intent: OrderIntent) -> bool:
        """Say whether the order can only shrink the position, even if all open reducing orders fill first.

        The kill switch asks this of intents that nobody has looked at yet: what is malformed reduces nothing.
        """
        index, lots = intent.instrument, intent.qty_lots
        if type(index) is not int or type(lots) is not int or type(intent.side) is not Side:
            return False
        if not 0 <= index < len(self.instruments) or not 0 < lots <= INT64_MAX:
            return False
        return not self.growth_qty(intent)

    # --- money ---

    def equity(self) -> Decimal | None:
        """Return the account's worth at the last prices; None while one is missing."""
        if self._weighed is None:
            return self.account.equity(self.mark_ticks)
        if self._equity is _UNASKED:
            self._equity = self.account.equity(self.mark_ticks)
        return self._equity

    def day_pnl(self) -> Decimal | None:
        """Return equity now minus equity at the UTC day's start: open positions and fees included."""
        equity = self.equity()
        if equity is None or self.day_start_equity is None:
            return None
        return _subtract(equity, self.day_start_equity)

    def needed_with(self, intent: OrderIntent) -> Decimal | None:
        """Return the equity that must stand behind everything if this intent and all open orders filled, in quote.

        Positions count at 1x, orders with fee and slippage. Of the intent's instrument only its own side counts:
        orders of the other side were decided when they came, and both sides filling leaves less. None while a price
        is missing.
        """
        index = intent.instrument
        if not self.working and len(self.instruments) == 1 and not self.held_qty(index):
            notional = self.notional_of(intent)  # Nothing held, nothing open: the order alone.
            return None if notional is None else _multiply(notional, self.cost_factor)
        total = self._needed(index, intent.side, intent)
        for other in range(len(self.instruments)):
            if total is None or other == index:
                continue
            buys, sells = self._needed(other, BUY), self._needed(other, SELL)
            total = None if buys is None or sells is None else _add(total, max(buys, sells))
        return total

    # A position, plus what one side's orders would add to it. What they close needs nothing any more; a purchase above
    # the market pays that premium on the closed part too, a sale above it closes with the cheapest orders.
    def _needed(self, index: int, side: Side, intent: OrderIntent | None = None) -> Decimal | None:
        instrument, mark, held = self.instruments[index], self.mark_ticks[index], self.held_qty(index)
        orders = [
            (order.remaining_lots, max(mark, order.limit_price_ticks))
            for order in self.working
            if order.instrument == index and order.side is side and order.remaining_lots
        ]
        if intent is not None:
            orders.append((intent.qty_lots, max(mark, intent.limit_price_ticks)))
        if not mark:
            return None if held or orders else ZERO
        stands = _multiply(held.copy_abs(), instrument.price(mark))
        if not orders:
            return stands
        traded = instrument.notional(sum(lots * ticks for lots, ticks in orders), 1)
        if not held or (held > 0) is (side is BUY):
            return _add(stands, _multiply(traded, self.cost_factor))
        if instrument.qty(sum(lots for lots, _ in orders)) <= held.copy_abs():
            return stands
        closed_at = mark if side is BUY else min(ticks for _, ticks in orders)
        closed = _multiply(held.copy_abs(), instrument.price(closed_at))
        return _subtract(_multiply(traded, self.cost_factor), closed)

    # --- pace ---

    def orders_in_last_minute(self, now_ns: int, strategy_id: str | None = None) -> int:
        """Return how many orders were approved within the last 60 s, for all or for one strategy."""
        self._forget_approvals(now_ns)
        if strategy_id is None:
            return len(self._approved_ns)
        return self._approved_by.get(strategy_id, 0)

    # An approval exactly 60 s ago is forgotten: no window [t, t + 60 s) ever holds more than the limit.
    def _forget_approvals(self, now_ns: int) -> None:
        horizon, approved, approved_by = now_ns - NS_PER_MINUTE, self._approved_ns, self._approved_by
        while approved and approved[0][0] <= horizon:
            _, owner = approved.popleft()
            approved_by[owner] -= 1
            if not approved_by[owner]:
                del approved_by[owner]


def _strictness(reading: KillSwitchState) -> int:
    if reading.state is ACTIVE:
        return 0
    return 1 if reading.state is TradingState.REDUCE_ONLY else 2
