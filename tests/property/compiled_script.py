"""A compiled strategy that places what is written down: an action a line, with prices relative to the close."""

from collections.abc import Sequence

from njord.strategies import StrategyParams
from njord.strategies.compiled_orders import (
    REDUCE_ONLY,
    FloatArray,
    Now,
    Orders,
    OrderStrategy,
    Values,
    buy,
    buy_limit,
    cancel,
    cancel_all,
    decision,
    equity_lots,
    filled,
    limit_of,
    sell,
    sell_limit,
    working,
)

BUY, SELL, BUY_LIMIT, SELL_LIMIT, CANCEL, CANCEL_ALL, CLOSE_HELD, REACT, SIZED = range(9)


class Script(OrderStrategy):
    """Line k is done at every bar n with n % period == k's first number: (bar, action, slot, lots, offset, kind)."""

    class Params(StrategyParams, frozen=True):
        """The lines one after the other, six numbers each."""

        lines: tuple[int, ...] = (0, BUY, 0, 10, 0, 0)
        period: int = 4
        warm: int = 0

    params: Params

    def warm_up(self) -> int:
        """Return what the parameters say."""
        return self.params.warm

    def numbers(self) -> Sequence[float]:
        """Return the period and the lines."""
        return [float(self.params.period), *map(float, self.params.lines)]

    def cells(self) -> int:
        """Return a counter's room."""
        return 1

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray, orders: Orders) -> None:
        """Do the lines whose turn it is."""
        for at in range(1, params.size, 6):
            if now.n_bars % int(params[0]) != int(params[at]):
                continue
            action, slot, lots = (
                int(params[at + 1]),
                int(params[at + 2]),
                int(params[at + 3]),
            )
            limit, kind = now.close + int(params[at + 4]), int(params[at + 5])
            if action == SIZED:
                lots, action = equity_lots(orders) // max(1, lots), BUY_LIMIT
            if action == BUY:
                buy(orders, slot, lots, kind & REDUCE_ONLY)
            elif action == SELL:
                sell(orders, slot, lots, kind & REDUCE_ONLY)
            elif action == BUY_LIMIT:
                buy_limit(orders, slot, lots, limit, kind)
            elif action == SELL_LIMIT:
                sell_limit(orders, slot, lots, limit, kind)
            elif action == CANCEL:
                cancel(orders, slot)
            elif action == CANCEL_ALL:
                cancel_all(orders)
            elif action == CLOSE_HELD and now.position_lots > 0:
                sell(orders, slot, now.position_lots, REDUCE_ONLY)
            elif action == CLOSE_HELD and now.position_lots < 0:
                buy(orders, slot, -now.position_lots, REDUCE_ONLY)
            elif action == REACT:
                state[0] += filled(orders, slot)
                if working(orders, slot) > 0 and limit_of(orders, slot) > now.close:
                    cancel(orders, slot)
                elif working(orders, slot) == 0 and state[0] < 3 * lots:
                    buy_limit(orders, slot, lots + int(state[0]) % 3, limit, kind)
