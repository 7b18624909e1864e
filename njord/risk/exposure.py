"""Exposure: what the gate knows when it decides. Positions plus working orders, prices, the day, recent decisions.

The gate reserves an order here at the moment it approves it, so that two intents in one breath can not both use the
last of a limit. An order whose outcome is unknown is still a working order and still counts.
"""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

from njord.core.account import Account
from njord.core.contracts import Bar, KillSwitchState, OrderEvent, OrderIntent, PositionSnapshot
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrders
from njord.core.types import OrderType, Side
from njord.core.units import BPS, EXACT, NS_PER_DAY, NS_PER_MINUTE, ZERO


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
        self.cost_factor = EXACT.add(Decimal(1), EXACT.multiply(cost_bps, BPS))
        self.working = WorkingOrders()
        self.mark_ticks = [0] * n
        self.mark_ts_ns = [0] * n
        self.interval_ns = [0] * n  # Of the last bar; 0 while only trades were seen.
        self.kill_switch: KillSwitchState | None = None
        self.decided: set[str] = set()
        self.last_loss_ns: dict[int, int] = {}
        self._approved_ns: deque[tuple[int, str]] = deque()
        self._net_realized: list[Decimal] = [ZERO] * n
        self._day_end_ns = 0
        self._day_start_equity: Decimal | None = account.equity(self.mark_ticks)

    # --- following the engine's messages ---

    def observe_bar(self, bar: Bar) -> None:
        """Take over the close as the reference price."""
        if bar.ts_ns > self._day_end_ns:
            self._roll_day(bar.ts_ns)
        index = bar.instrument
        self.mark_ticks[index] = bar.close
        self.mark_ts_ns[index] = bar.ts_ns
        self.interval_ns[index] = bar.ts_ns - bar.ts_open_ns

    def observe_price(self, instrument: int, ticks: int, ts_ns: int) -> None:
        """Take over a trade's price as the reference price."""
        if ts_ns > self._day_end_ns:
            self._roll_day(ts_ns)
        self.mark_ticks[instrument] = ticks
        self.mark_ts_ns[instrument] = ts_ns

    def observe_position(self, snapshot: PositionSnapshot) -> None:
        """Follow the ledger; remember when a fill closed something at a loss."""
        self.account.adopt(snapshot)
        index = snapshot.instrument
        net = snapshot.realized_pnl
        if net < self._net_realized[index]:
            self.last_loss_ns[index] = snapshot.ts_ns
        self._net_realized[index] = net

    def reserve(self, order: OrderEvent) -> None:
        """Count an order from the moment of its approval."""
        self.working.approve(order)
        self._approved_ns.append((order.ts_ns, order.strategy_id))

    # A bar that closes at midnight still belongs to the day before: its close is that day's last price.
    def _roll_day(self, ts_ns: int) -> None:
        self._day_start_equity = self.account.equity(self.mark_ticks)
        self._day_end_ns = -(-ts_ns // NS_PER_DAY) * NS_PER_DAY

    # --- what rules ask ---

    def reference_ticks(self, intent: OrderIntent) -> int:
        """Return the price that limits are checked at: the market's, or a buy's own limit if that is higher.

        0 while no price is known.
        """
        mark = self.mark_ticks[intent.instrument]
        if mark and intent.type is OrderType.LIMIT:
            return max(mark, intent.limit_price_ticks)
        return mark

    def notional_of(self, intent: OrderIntent) -> Decimal | None:
        """Return the intent's worth at its reference price, in quote; None while no price is known."""
        ticks = self.reference_ticks(intent)
        return self.instruments[intent.instrument].notional(ticks, intent.qty_lots) if ticks else None

    def held_qty(self, instrument: int) -> Decimal:
        """Return the signed position in base."""
        return self.account.position(instrument).qty

    def working_qty(self, instrument: int, side: Side) -> Decimal:
        """Return the remaining quantity of all open orders of one side, in base."""
        return self.instruments[instrument].qty(self.working.side_lots(instrument, side))

    def worst_qty(self, instrument: int, extra: Decimal = ZERO, side: Side | None = None) -> Decimal:
        """Return the largest |position| that open orders, plus `extra` on `side`, could lead to, in base."""
        held = self.held_qty(instrument)
        buys, sells = (self.working_qty(instrument, Side.BUY), self.working_qty(instrument, Side.SELL))
        if side is Side.BUY:
            buys = EXACT.add(buys, extra)
        elif side is Side.SELL:
            sells = EXACT.add(sells, extra)
        return max(abs(held), abs(EXACT.add(held, buys)), abs(EXACT.subtract(held, sells)))

    def intent_qty(self, intent: OrderIntent) -> Decimal:
        """Return the intent's quantity in base."""
        return self.instruments[intent.instrument].qty(intent.qty_lots)

    def reduces(self, intent: OrderIntent) -> bool:
        """Say whether the order can only shrink the position, even if all open reducing orders fill first."""
        if not 0 <= intent.instrument < len(self.instruments) or intent.qty_lots <= 0:
            return False
        held = self.held_qty(intent.instrument)
        if not held or (held > 0) is (intent.side is Side.BUY):
            return False
        pending = self.working_qty(intent.instrument, intent.side)
        return EXACT.add(pending, self.intent_qty(intent)) <= abs(held)

    def equity(self) -> Decimal | None:
        """Return the account's worth at the last prices; None while one is missing."""
        return self.account.equity(self.mark_ticks)

    def free_margin(self) -> Decimal | None:
        """Return what may still be spent, before working orders; None while a price is missing."""
        return self.account.free_margin(self.mark_ticks)

    def reserved(self) -> Decimal | None:
        """Return what open orders that grow a position would cost, fee and slippage included."""
        total = ZERO
        for order in self.working:
            instrument = self.instruments[order.instrument]
            mark = self.mark_ticks[order.instrument]
            if not mark:
                return None
            if order.side is Side.SELL and not self.account.may_short(order.instrument):
                continue
            ticks = max(mark, order.limit_price_ticks)
            total = EXACT.add(total, instrument.notional(ticks, order.remaining_lots))
        return EXACT.multiply(total, self.cost_factor)

    def day_pnl(self) -> Decimal | None:
        """Return equity now minus equity at the UTC day's start: open positions and fees included."""
        equity = self.equity()
        if equity is None or self._day_start_equity is None:
            return None
        return EXACT.subtract(equity, self._day_start_equity)

    def orders_in_last_minute(self, now_ns: int, strategy_id: str | None = None) -> int:
        """Return how many orders were approved within the last 60 s, for all or for one strategy."""
        horizon = now_ns - NS_PER_MINUTE
        approved = self._approved_ns
        while approved and approved[0][0] <= horizon:
            approved.popleft()
        if strategy_id is None:
            return len(approved)
        return sum(1 for _, owner in approved if owner == strategy_id)
