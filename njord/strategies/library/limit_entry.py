"""Wait below the market with a limit order; sell what it bought at a target above, or when it has been held too long."""

from collections.abc import Sequence

from njord.strategies import StrategyParams
from njord.strategies.compiled_orders import (
    REDUCE_ONLY,
    FloatArray,
    Now,
    Orders,
    OrderStrategy,
    Values,
    buy_limit,
    cancel,
    decision,
    equity_lots,
    sell,
    sell_limit,
    working,
)

_ENTRY, _EXIT = 0, 1  # Slots.
_DIP, _TARGET, _PATIENCE, _HOLD, _WEIGHT = range(5)  # Of `params`.
_SINCE, _PAID = (
    0,
    1,
)  # Of `state`: bars since the last order of its kind was placed, and the entry's limit.


class LimitEntry(OrderStrategy):
    """Buys a dip with a resting limit order, and sells at a target with another.

    The entry is moved to the market again when it has waited for `patience` bars. What is still held after `hold` bars
    is sold at the market, one bar after the target order was canceled.
    """

    class Params(StrategyParams, frozen=True):
        """Distances from the close and from the entry's limit; `weight` is the share of equity that is bought."""

        dip_bps: float = 50.0
        target_bps: float = 50.0
        patience: int = 30
        hold: int = 240
        weight: float = 0.9

        def __post_init__(self) -> None:
            if not 0 < self.dip_bps < 10_000:
                raise ValueError(f"dip_bps must be in (0, 10000), was {self.dip_bps}")
            if not self.target_bps > 0:
                raise ValueError(f"target_bps must be > 0, was {self.target_bps}")
            for name in ("patience", "hold"):
                if getattr(self, name) < 1:
                    raise ValueError(f"{name} must be >= 1, was {getattr(self, name)}")
            if not 0 < self.weight <= 1:
                raise ValueError(f"weight must be in (0, 1], was {self.weight}")

    params: Params

    def numbers(self) -> Sequence[float]:
        """Return the parameters, distances as fractions."""
        params = self.params
        return (
            params.dip_bps / 1e4,
            params.target_bps / 1e4,
            params.patience,
            params.hold,
            params.weight,
        )

    def cells(self) -> int:
        """Return the room for a count and a price."""
        return 2

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray, orders: Orders) -> None:
        """Keep one order in the market: below it while flat, above it while something is held."""
        held, bought, sold = (
            now.position_lots,
            working(orders, _ENTRY),
            -working(orders, _EXIT),
        )
        state[_SINCE] += 1.0
        if held > 0:
            if bought:
                cancel(orders, _ENTRY)  # Filled in part: what came is enough.
            if sold == 0 and state[_SINCE] < params[_HOLD]:
                target = int(state[_PAID] * (1.0 + params[_TARGET])) + 1
                sell_limit(orders, _EXIT, held, target, REDUCE_ONLY)
            elif sold == 0:
                sell(orders, _EXIT, held, REDUCE_ONLY)
            elif sold != held or state[_SINCE] >= params[_HOLD]:
                cancel(orders, _EXIT)
        elif bought == 0:
            limit = max(1, int(now.close * (1.0 - params[_DIP])))
            buy_limit(orders, _ENTRY, int(params[_WEIGHT] * equity_lots(orders)), limit)
            state[_SINCE], state[_PAID] = 0.0, limit
        elif state[_SINCE] >= params[_PATIENCE]:
            cancel(orders, _ENTRY)
