"""The plan of `benchmarks/differential/plan.py` as a strategy: the same class decides, here its actions become intents."""

from benchmarks.differential.plan import Action, CancelAll, Enter, Plan, PlanBar
from njord.core.contracts import NO_PRICE
from njord.strategies import (
    BarView,
    CancelIntent,
    Context,
    OrderIntent,
    OrderType,
    Proposals,
    Side,
    Strategy,
    StrategyParams,
)


class Planned(Strategy):
    """Sends what the plan says, one unit of the base asset at a time."""

    class Params(StrategyParams, frozen=True):
        """`may_short` is what the other side is told."""

        may_short: bool = False

    params: Params

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self._plan = Plan(self.params.may_short)

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        """Ask the plan, and translate."""
        seen = PlanBar(bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks)
        position = (ctx.qty > 0) - (ctx.qty < 0)
        return [intent for action in self._plan.on_bar(seen, position) for intent in _intents(ctx, action)]


def _intents(ctx: Context, action: Action) -> list[OrderIntent | CancelIntent]:
    if isinstance(action, CancelAll):
        return [CancelIntent(client_order_id=order.client_order_id) for order in ctx.open_orders]
    unit = ctx.instrument.lots(1)
    if isinstance(action, Enter):
        entry = _order(unit, action.sign, action.kind, action.price, intent_id="entry")
        if not action.stop:
            return [entry]
        return [entry, *_either(unit, -action.sign, action.limit, action.stop, after="entry")]
    if action.kind == "either":
        return list(_either(unit, action.sign, action.limit, action.stop))
    price = {"market": NO_PRICE, "limit": action.limit, "stop": action.stop}[action.kind]
    return [_order(unit, action.sign, action.kind, price, reduce_only=True)]


# Two exits, of which the first to fill cancels the other.
def _either(unit: int, sign: int, limit: int, stop: int, after: str = "") -> tuple[OrderIntent, OrderIntent]:
    return (
        _order(unit, sign, "stop", stop, reduce_only=True, group_id="exits", after_intent_id=after),
        _order(unit, sign, "limit", limit, reduce_only=True, group_id="exits", after_intent_id=after),
    )


def _order(
    unit: int,
    sign: int,
    kind: str,
    price: int,
    *,
    reduce_only: bool = False,
    intent_id: str = "",
    group_id: str = "",
    after_intent_id: str = "",
) -> OrderIntent:
    return OrderIntent(
        side=Side.BUY if sign > 0 else Side.SELL,
        type=OrderType(kind),
        qty_lots=unit,
        limit_price_ticks=price if kind == "limit" else NO_PRICE,
        trigger_price_ticks=price if kind == "stop" else NO_PRICE,
        reduce_only=reduce_only,
        intent_id=intent_id,
        group_id=group_id,
        after_intent_id=after_intent_id,
    )
