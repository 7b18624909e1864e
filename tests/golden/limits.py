"""What the gate and the sizing refuse, by rule."""

from decimal import Decimal

from msgspec.structs import replace

from njord.strategies import Context, Proposals, Target, TimerSet
from tests.golden.algorithm import COIN, MOON, buy, on_bars, sell


@on_bars("100 x3", rules={"max_order_notional": {"cap_notional": 500}})
def an_order_above_the_notional_cap_is_refused(n: int, ctx: Context) -> Proposals:
    """6 x 100 exceeds 500; 5 x 100 does not."""
    return {1: buy(6), 2: buy(5)}.get(n)


@on_bars("100 x3", rules={"max_position": {"cap_notional": 1000}})
def a_position_counts_with_the_orders_that_work(n: int, ctx: Context) -> Proposals:
    """Nothing is held, but the bid for 6 works: another 6 would be 1,200 at the mark of 100 and 1,000 is the cap."""
    return [buy(6, 90), buy(6, 90)] if n == 1 else None


@on_bars("100 x2", rules={"price_collar": {"max_distance_fraction": "0.1"}})
def a_price_outside_the_collar_is_refused(n: int, ctx: Context) -> Proposals:
    """89 is more than 10 % below 100; 90 is not."""
    return [buy(1, 89), buy(1, 90)] if n == 1 else None


@on_bars("100 x3", rules={"order_rate": {"per_minute": 2, "per_strategy_per_minute": 2}})
def too_many_orders_in_a_minute_are_refused(n: int, ctx: Context) -> Proposals:
    """The third of bar 1 is one too many; a minute later there is room again."""
    return [buy(1, 90)] * 3 if n == 1 else [buy(1, 91)]


@on_bars("100 x2, 94 x3", rules={"daily_loss": {"cap_notional": 50}})
def after_the_days_loss_only_what_reduces_passes(n: int, ctx: Context) -> Proposals:
    """10 x 6 are lost by bar 3, more than 50: the purchase is refused, the reduce-only sale passes."""
    if n == 3:
        return [buy(1), sell(10, reduce_only=True)]
    return buy(10) if n == 1 else None


@on_bars("100 x2, 90, 90 x4", rules={"cool_down": {"seconds": 120}})
def after_a_losing_round_trip_there_is_a_pause(n: int, ctx: Context) -> Proposals:
    """The loss is closed with bar 4; one minute later a purchase is refused, two minutes later it passes."""
    return {1: buy(1), 3: sell(1), 5: buy(1), 6: buy(1)}.get(n)


@on_bars("100 x2", rules={"open_orders": {"cap": 2}})
def more_open_orders_than_allowed_are_refused(n: int, ctx: Context) -> Proposals:
    """Two may work, the third is refused."""
    return [buy(1, 90), buy(1, 91), buy(1, 92)] if n == 1 else None


_NO_CAPS = {"max_position": {"cap_equity_fraction": 0}, "max_gross": {"cap_equity_fraction": 0}}


@on_bars("100 x2", rules=_NO_CAPS)
def cash_is_reserved_by_the_orders_that_work(n: int, ctx: Context) -> Proposals:
    """A bid counts at the mark of 100 where that is dearer: 6,000 are reserved, 6,000 more are refused, 4,000 pass."""
    return [buy(60, 90), buy(60, 90), buy(40, 90)] if n == 1 else None


@on_bars("100 x2", instruments=(replace(COIN, min_notional=Decimal(1000)),))
def an_order_below_the_smallest_notional_is_refused(n: int, ctx: Context) -> Proposals:
    """9 x 100 is less than 1,000; 10 x 100 is not."""
    return [buy(9), buy(10)] if n == 1 else None


@on_bars("100 x2", instruments=(replace(COIN, min_qty=Decimal(3), max_qty=Decimal(5)),))
def quantities_have_bounds(n: int, ctx: Context) -> Proposals:
    """2 are too few and 6 too many; 3 and 5 are not."""
    return [buy(2), buy(6), buy(3), buy(5)] if n == 1 else None


@on_bars("100 x4", warm_up=3)
def proposals_before_the_warm_up_are_refused(n: int, ctx: Context) -> Proposals:
    """Bars 1 and 2 are too early, bar 3 ends the warm-up: one purchase, at bar 4's open."""
    return buy(1) if n <= 3 else None


@on_bars("100 x2")
def a_target_below_one_lot_is_refused(n: int, ctx: Context) -> Proposals:
    """Half a coin can not be bought."""
    return Target(qty=Decimal("0.5")) if n == 1 else None


@on_bars("100 x3")
def a_target_is_sized_by_equity_with_one_percent_to_spare(n: int, ctx: Context) -> Proposals:
    """Half of 10,000 at 100 x 1.01 is 49.5: 49 are bought, and repeating the target buys nothing more."""
    return Target(weight=0.5)


@on_bars("100 x3")
def an_order_without_a_quantity_is_malformed(n: int, ctx: Context) -> Proposals:
    """0 lots are no order, nor does an order at market have a price."""
    return [buy(0), replace(buy(1), limit_price_ticks=100)] if n == 1 else None


@on_bars("100 x4")
def a_strategy_that_raises_is_suspended_and_its_orders_canceled(n: int, ctx: Context) -> Proposals:
    """Bar 2 divides by zero: the bid is canceled, the position of bar 1 stays, and nobody is called any more."""
    return [buy(1), buy(1, 90)] if n == 1 else buy(1 // (n - 2))


@on_bars(
    "100 x2\n50 x2", instruments=(COIN, MOON), trades=(0, 1), rules={"max_gross": {"cap_notional": 1000}}
)
def the_gross_cap_counts_all_symbols(n: int, ctx: Context) -> Proposals:
    """6 coins at 100 are 600; 10 moons at 50 would make 1,100 and are refused."""
    return buy(6 if ctx.instrument is COIN else 10) if n == 1 else None


@on_bars("100 x2", rules={"symbol_allowed": {"symbols": ["MOON/USDT"]}})
def a_symbol_that_is_not_named_is_refused(n: int, ctx: Context) -> Proposals:
    """Only moons may be traded."""
    return buy(1) if n == 1 else None


def _also_buys(n: int, ctx: Context) -> Proposals:
    return buy(1, 91) if n == 1 else None


@on_bars(
    "100 x2",
    others={"b": _also_buys},
    rules={"order_rate": {"per_minute": 9, "per_strategy_per_minute": 1}},
)
def each_strategy_has_a_rate_of_its_own(n: int, ctx: Context) -> Proposals:
    """The second order of s in a minute is refused, the first of b is not."""
    return [buy(1, 90), buy(1, 90)] if n == 1 else None


def _buys(ctx: Context, timer: object) -> Proposals:
    return buy(1)


@on_bars("100 x6\n50", instruments=(COIN, MOON), trades=(1,), on_timer=_buys)
def a_price_older_than_three_bars_is_no_price(n: int, ctx: Context) -> Proposals:
    """The only bar of the moon closed four minutes before the timer: the purchase is refused."""
    return TimerSet(key="k", due_ns=ctx.ts_ns + 240 * 10**9)
