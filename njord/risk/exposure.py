"""Exposure: what the gate knows when it decides. Positions plus working orders, prices, the day, recent decisions.

The gate reserves an order here at the moment it approves it, so that two intents in one breath can not both use the
last of a limit. An order whose outcome is unknown is still a working order and still counts. Of a group, of which
only one can fill, the largest member counts; an exit counts when its entry has filled. All limits are measured at the
prices known when an intent is decided: what the market does until the fill is not in them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from njord.core.account import ONE, Account, adjustment_worth, margin
from njord.core.contracts import (
    BalanceAdjusted,
    Bar,
    KillSwitchState,
    OrderEvent,
    OrderIntent,
    PositionSnapshot,
)
from njord.core.filters import INT64_MAX
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrder, WorkingOrders
from njord.core.types import ACTIVE, BUY, MARKET, SELL, Side, TradingState
from njord.core.units import BPS, EXACT, NS_PER_DAY, ZERO
from njord.risk.decided import DecidedIds
from njord.risk.losses import LossWatch
from njord.risk.pace import ApprovalPace

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
        self.cost_rate = _multiply(cost_bps, BPS)
        self.cost_factor = _add(Decimal(1), self.cost_rate)
        leverages = [account.leverage(index) for index in range(n)]
        self.leverage = [ONE if leverage == 1 else leverage for leverage in leverages]
        self.max_leverage = max(self.leverage, default=ONE)
        self.working = WorkingOrders()
        self.mark_ticks = [0] * n
        self.mark_ts_ns = [0] * n
        self.interval_ns = [0] * n  # Of the last bar; 0 while only trades were seen.
        self.kill_switch: KillSwitchState | None = None  # The strictest of all sources' last readings.
        self.kill_switch_from_ns = 0
        self.kill_switch_until_ns = 0  # When the first of those readings becomes too old.
        self.decided = DecidedIds()
        self.pace = ApprovalPace()
        self.follows_losses = True  # A gate none of whose rules asks for it turns it off.
        self.last_loss_ns: dict[int, int] = {}
        self._readings: dict[str, KillSwitchState] = {}
        self._losses = LossWatch(n)
        self.day_end_ns = 0  # Of the UTC day under way.
        self.n_replaced = 0  # 1 while an amendment is asked about.
        self._is_plain = n == 1 and self.leverage[0] is ONE
        self._weighed: OrderIntent | None = None
        self._growth: Decimal | None = None
        self._qty: Decimal | None = None
        self._worst: Decimal | None = None
        self._equity: Decimal | None = None
        self._worth_of = (-1, 0)
        self._worth_qty = self._worth = ZERO
        self.day_start_equity: Decimal | None = account.equity(self.mark_ticks)
        self.weigh(None)

    # --- following the engine's messages ---

    def observe_bar(self, bar: Bar) -> None:
        """Take over the close as the reference price."""
        ts_ns = bar.ts_ns
        if ts_ns > self.day_end_ns:
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

    def observe_position(self, snapshot: PositionSnapshot) -> None:
        """Follow the ledger; remember when a fill closed something at a loss."""
        if snapshot.ts_ns > self.day_end_ns:
            self.advance(snapshot.ts_ns)
        self.account.adopt(snapshot)
        if self.follows_losses and self._losses.closed_at_loss(snapshot):
            self.last_loss_ns[snapshot.instrument] = snapshot.ts_ns

    def observe_adjustment(self, event: BalanceAdjusted) -> None:
        """Let the day begin with what was paid in or out since: it is no profit, and hides no loss."""
        if event.ts_ns > self.day_end_ns:
            self.advance(event.ts_ns)
        if self.day_start_equity is not None:
            self.day_start_equity = _add(self.day_start_equity, adjustment_worth(event, self.instruments))

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
        self.pace.count(order.ts_ns, order.strategy_id)

    def advance(self, ts_ns: int) -> None:
        """Begin the UTC day of `ts_ns`, if it is a new one, with the equity at the last prices before it.

        What becomes known at exactly midnight tells of the day before: its last bar, that bar's fills, and what was
        decided on them. After a gap of several days the whole move counts to the day that first shows it.
        """
        if ts_ns > self.day_end_ns:
            self.day_start_equity = self.account.equity(self.mark_ticks)
            self.day_end_ns = -(-ts_ns // NS_PER_DAY) * NS_PER_DAY

    def weigh(self, intent: OrderIntent | None) -> None:
        """Remember what the rules find out until the next call: nothing changes while they are asked about one intent.

        Several rules ask the same; None ends it.
        """
        self._weighed = intent
        self._growth = self._qty = None
        self._worst = self._equity = _UNASKED

    @contextmanager
    def without(self, order: WorkingOrder) -> Iterator[None]:
        """While inside, `order` takes no room: an amendment is asked about as a new order in its place."""
        qty_lots, left = order.qty_lots, order.remaining_lots
        order.qty_lots, order.remaining_lots, self.n_replaced = qty_lots - left, 0, 1
        try:
            yield
        finally:
            order.qty_lots, order.remaining_lots, self.n_replaced = qty_lots, left, 0

    # --- prices and quantities ---

    def reference_ticks(self, intent: OrderIntent) -> int:
        """Return the price that limits are checked at: the highest of the market's and the order's own prices.

        0 while no price is known.
        """
        mark = self.mark_ticks[intent.instrument]
        return _dearest_ticks(intent, mark) if mark and intent.type is not MARKET else mark

    def worth(self, instrument: int, qty: Decimal, ticks: int) -> Decimal:
        """Return what `qty` (in base, >= 0) is worth at `ticks`, in quote.

        Several rules ask in a row, and of an order that opens a position growth, position and gross are one quantity.
        """
        if qty is not self._worth_qty or self._worth_of != (instrument, ticks):
            self._worth_of, self._worth_qty = (instrument, ticks), qty
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
        index, is_buy = intent.instrument, intent.side is BUY
        held = self.account.position(index).qty
        if not self.working:
            qty = self.intent_qty(intent)
            if not held:
                return qty
            after = (_add if is_buy else _subtract)(held, qty).copy_abs()
            return after if after > held.copy_abs() else None
        buys, sells = self._open_qty(index)
        long, short = _add(held, buys).copy_abs(), _subtract(held, sells).copy_abs()
        if intent.group_id or intent.after_intent_id:
            own = self._linked_qty(intent)
            reached = (_add(held, own) if is_buy else _subtract(held, own)).copy_abs()
        elif is_buy:
            reached = _add(_add(held, buys), self.intent_qty(intent)).copy_abs()
        else:
            reached = _subtract(_subtract(held, sells), self.intent_qty(intent)).copy_abs()
        return reached if reached > max(held.copy_abs(), long, short) else None

    # What the intent's side could fill with it, if it is linked to others: its group counts by the largest member, an
    # exit by what its entry has filled.
    def _linked_qty(self, intent: OrderIntent) -> Decimal:
        index, side, working = intent.instrument, intent.side, self.working
        counted = working.side_lots(index, side)
        own = self.fillable_lots(intent)
        if intent.group_id:
            outside = working.side_lots(index, side, but_group=intent.group_id)
            return self.instruments[index].qty(outside + max(counted - outside, own))
        return self.instruments[index].qty(counted + own)

    # Remaining quantities of all buys and of all sells.
    def _open_qty(self, index: int) -> tuple[Decimal, Decimal]:
        if not self.working:
            return ZERO, ZERO
        buys, sells = self.working.open_lots(index)
        if not buys and not sells:
            return ZERO, ZERO
        instrument = self.instruments[index]
        return instrument.qty(buys), instrument.qty(sells)

    def fillable_lots(self, intent: OrderIntent) -> int:
        """Return the lots of the intent that could fill now: of an exit, what its entry has filled."""
        entry = self.working.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        return intent.qty_lots if entry is None else min(intent.qty_lots, entry.filled_lots)

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
        held, qty = self.account.position(intent.instrument).qty, self.intent_qty(intent)
        if intent.after_intent_id:
            entry = self.working.of_intent(intent.after_intent_id)
            if entry is not None and entry.instrument == intent.instrument:
                return max(ZERO, _subtract(qty, self._opened_qty(entry)))
        if not held or (held > 0) is (intent.side is BUY):
            return qty
        if not self.working:
            left = _subtract(qty, held.copy_abs())
            return left if left > 0 else ZERO
        if intent.group_id:
            lots = self.working.side_lots(intent.instrument, intent.side, but_group=intent.group_id)
            ahead = self.instruments[intent.instrument].qty(lots)
        else:
            ahead = self.working_qty(intent.instrument, intent.side)
        return max(ZERO, _subtract(qty, max(ZERO, _subtract(held.copy_abs(), ahead))))

    # What an entry opens when all of it fills: not the part that closes what is held on the other side.
    def _opened_qty(self, entry: WorkingOrder) -> Decimal:
        instrument = self.instruments[entry.instrument]
        filled = instrument.qty(entry.side.sign * entry.filled_lots)
        before = _subtract(self.held_qty(entry.instrument), filled)
        qty = instrument.qty(entry.qty_lots)
        if not before or (before > 0) is (entry.side is BUY):
            return qty
        return max(ZERO, _subtract(qty, before.copy_abs()))

    def reduces(self, intent: OrderIntent) -> bool:
        """Say whether the order can only shrink the position, even if all open reducing orders fill first.

        The kill switch asks this of intents that nobody has looked at yet: what is no number reduces nothing.
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

        Positions count by their margin (worth / leverage), orders with fee and slippage. Of the intent's instrument
        only its own side counts: orders of the other side were decided when they came, and both sides filling leaves
        less. None while a price is missing.
        """
        index = intent.instrument
        if self._is_plain and not self.working and not self.held_qty(index):
            ticks = self.reference_ticks(intent)  # Nothing held, nothing open: the order alone.
            worth = self.worth(index, self.intent_qty(intent), ticks)
            return _multiply(worth, self.cost_factor) if ticks else None
        total = self._needed(index, intent.side, intent)
        for other in range(len(self.instruments)):
            if total is None or other == index:
                continue
            buys, sells = self._needed(other, BUY), self._needed(other, SELL)
            total = None if buys is None or sells is None else _add(total, max(buys, sells))
        return total

    # A position, plus what one side's orders would add to it. What they close needs nothing any more; a purchase above
    # the market pays that premium at once, on the closed part too, a sale above it closes with the cheapest orders.
    def _needed(self, index: int, side: Side, intent: OrderIntent | None = None) -> Decimal | None:
        instrument, mark, held = self.instruments[index], self.mark_ticks[index], self.held_qty(index)
        orders = self._fills(index, side, mark, intent)
        if not mark:
            return None if held or orders else ZERO
        leverage = self.leverage[index]
        stands = _multiply(held.copy_abs(), instrument.price(mark))
        if not orders:
            return margin(stands, leverage)
        lots = sum(lots for lots, _ in orders)
        traded = instrument.notional(sum(lots * ticks for lots, ticks in orders), 1)
        worth = (
            instrument.notional(mark, lots) if side is BUY else traded
        )  # Of what was traded, once it is held.
        costs = _multiply(traded, self.cost_rate)
        if not held or (held > 0) is (side is BUY):
            left = _add(stands, worth)
        elif instrument.qty(lots) <= held.copy_abs():
            return margin(stands, leverage)
        else:
            closed_at = mark if side is BUY else min(ticks for _, ticks in orders)
            left = _subtract(worth, _multiply(held.copy_abs(), instrument.price(closed_at)))
        return _add(_add(margin(left, leverage), _subtract(traded, worth)), costs)

    # (lots, ticks) that one side could fill, the intent's own included; a group is its most lots at its highest price.
    def _fills(self, index: int, side: Side, mark: int, intent: OrderIntent | None) -> list[tuple[int, int]]:
        fills: list[tuple[int, int]] = []
        groups: dict[str, tuple[int, int]] = {}
        for order in self.working:
            if order.instrument != index or order.side is not side:
                continue
            _join(fills, groups, order.group_id, order.fillable_lots, _dearest_ticks(order, mark))
        if intent is not None:
            lots, ticks = self.fillable_lots(intent), _dearest_ticks(intent, mark)
            _join(fills, groups, intent.group_id, lots, ticks)
        return [*fills, *groups.values()]


# The highest price that an order may trade at, as far as it can be known: a trailing buy's trigger only falls.
def _dearest_ticks(order: OrderIntent | WorkingOrder, mark: int) -> int:
    ticks = max(mark, order.limit_price_ticks, order.trigger_price_ticks)
    return max(ticks, mark + order.trail_ticks) if order.trail_ticks and order.side is BUY else ticks


def _join(
    fills: list[tuple[int, int]], groups: dict[str, tuple[int, int]], group_id: str, lots: int, ticks: int
) -> None:
    if not lots:
        return
    if group_id:
        most_lots, highest = groups.get(group_id, (0, 0))
        groups[group_id] = max(most_lots, lots), max(highest, ticks)
    else:
        fills.append((lots, ticks))


def _strictness(reading: KillSwitchState) -> int:
    if reading.state is ACTIVE:
        return 0
    return 1 if reading.state is TradingState.REDUCE_ONLY else 2
