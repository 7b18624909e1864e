"""Order types on bars: where they fill, and what wakes them."""

from njord.strategies import Context, Proposals, TimerSet
from tests.golden.algorithm import buy, on_bars, sell


@on_bars("100, 105 120 90 110")
def a_market_order_fills_at_the_next_open(n: int, ctx: Context) -> Proposals:
    """Bought at bar 2's open, 105: not at the close 100 that decided it, not at the best price 90."""
    return buy(10) if n == 1 else None


@on_bars("100 x2, 100 101 96 100, 100 101 95 100")
def a_limit_order_rests_until_a_bar_touches_it(n: int, ctx: Context) -> Proposals:
    """The bid of 95 makes at 95 in bar 4, whose low is exactly 95, and nothing before."""
    return buy(10, 95) if n == 1 else None


@on_bars("100 x2, 92 94 91 93")
def a_limit_order_that_the_open_jumps_over_fills_at_the_open(n: int, ctx: Context) -> Proposals:
    """The bid of 95 rested in bar 2, so it makes at bar 3's open of 92, better than its limit."""
    return buy(10, 95) if n == 1 else None


@on_bars("100 x2", slippage_bps=300)
def a_marketable_limit_order_slips_no_further_than_its_limit(n: int, ctx: Context) -> Proposals:
    """It takes at the open of 100, slipped by 3 % to 103, but never above its limit: 102, slippage 2 x 10."""
    return buy(10, 102) if n == 1 else None


@on_bars("100, 100 104 99 101, 101 107 100 106")
def a_stop_fills_at_its_trigger(n: int, ctx: Context) -> Proposals:
    """Bar 2 ends one short of the trigger; bar 3 passes it on its way to 107, so it buys at 105 as a taker."""
    return buy(10, stop=105) if n == 1 else None


@on_bars("100, 110 112 109 111")
def a_stop_that_the_open_jumps_over_fills_at_the_open(n: int, ctx: Context) -> Proposals:
    """Bar 2 opens at 110, beyond the trigger of 105: there was no 105 to trade at, so it buys at 110."""
    return buy(10, stop=105) if n == 1 else None


@on_bars("100, 100 107 99 106, 106 106 102 104")
def a_stop_limit_order_fills_only_by_what_came_after_its_trigger(n: int, ctx: Context) -> Proposals:
    """Woken at 105 in bar 2, whose 99 came before and whose close is 106, it rests at 103 and makes in bar 3."""
    return buy(10, 103, stop=105) if n == 1 else None


@on_bars("100, 110 112 108 109, 109 109 106 107")
def a_stop_limit_order_that_the_open_jumps_over_does_not_chase(n: int, ctx: Context) -> Proposals:
    """Woken by the open of 110 it may not pay more than 106, so it waits for bar 3, and makes there at 106."""
    return buy(10, 106, stop=105) if n == 1 else None


@on_bars("100, 100, 100 111 99 105")
def a_take_profit_order_sells_at_its_trigger(n: int, ctx: Context) -> Proposals:
    """What was bought at 100 is sold at 110, which bar 3 reaches, as a taker."""
    return {1: buy(10), 2: sell(10, take=110)}.get(n)


@on_bars("100, 100, 100 111 99 105, 105 113 104 110")
def a_take_profit_limit_order_waits_for_its_limit_once_awake(n: int, ctx: Context) -> Proposals:
    """Bar 3 wakes it at 110 and does not reach 112; bar 4 does, and it makes there."""
    return {1: buy(10), 2: sell(10, 112, take=110)}.get(n)


@on_bars("100, 100, 100 110 96 109, 109 109 104 106")
def a_trailing_stop_follows_the_high_of_the_bars_before(n: int, ctx: Context) -> Proposals:
    """From 95 it survives bar 3's low of 96, stands at 105 after its high of 110, and sells there in bar 4."""
    return {1: buy(10), 2: sell(10, trail=5)}.get(n)


@on_bars("100 x2, 100 100 94 96", slippage_bps=200)
def a_stop_slips_beyond_its_trigger(n: int, ctx: Context) -> Proposals:
    """Sold at 95 less 2 %, 1.9, to the next worse tick: 93. The purchase slipped to 102: 2 x 10 and 2 x 10 are lost."""
    return {1: buy(10), 2: sell(10, stop=95)}.get(n)


@on_bars("100, 100 100 94 98")
def of_two_bids_the_one_nearer_to_the_open_fills_first(n: int, ctx: Context) -> Proposals:
    """The price passes 97 before 95, although the bid of 95 was sent first."""
    return [buy(1, 95), buy(1, 97)] if n == 1 else None


@on_bars("100, 100 90 80 100")
def of_a_bar_that_contradicts_itself_only_the_open_is_believed(n: int, ctx: Context) -> Proposals:
    """High 90 can not be with an open of 100, so the low of 80 fills no bid of 85."""
    return buy(1, 85) if n == 1 else None


def _buy(ctx: Context, timer: object) -> Proposals:
    return buy(1)


@on_bars("100, 100 120 100 120, 115", on_timer=_buy)
def what_a_timer_sends_inside_a_bar_waits_for_the_next_open(n: int, ctx: Context) -> Proposals:
    """The timer fires half a minute into bar 2, whose open is past: it buys at bar 3's open of 115."""
    return TimerSet(key="k", due_ns=ctx.ts_ns + 30 * 10**9) if n == 1 else None


@on_bars("100, 101, 102 x2", entry_latency_ns=60 * 10**9)
def a_way_of_one_bar_costs_one_bar(n: int, ctx: Context) -> Proposals:
    """A minute on its way, the order has missed bar 2's open of 101 and buys at bar 3's, 102."""
    return buy(1) if n == 1 else None


@on_bars("100, 101, 102 x2", entry_latency_ns=59 * 10**9)
def a_way_of_less_than_a_bar_changes_nothing(n: int, ctx: Context) -> Proposals:
    """Bought at bar 2's open of 101, as without latency: bars can not say what happens within them."""
    return buy(1) if n == 1 else None
