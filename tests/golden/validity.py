"""How long an order works, and its flags: time in force, post-only, reduce-only, cancel and amend."""

from njord.strategies import AmendIntent, CancelIntent, Context, Proposals
from tests.golden.algorithm import PERP, buy, first_order, on_bars, sell

NS_PER_S = 10**9
HALF = "0.5"


@on_bars("100, 100 100 94 95")
def an_immediate_order_is_gone_after_the_open(n: int, ctx: Context) -> Proposals:
    """Bar 2 opens at 100, so the bid of 95 ends there, and the low of 94 comes too late."""
    return buy(10, 95, tif="ioc") if n == 1 else None


@on_bars("100 v8 x3", max_volume_share=HALF)
def an_immediate_order_takes_what_there_is(n: int, ctx: Context) -> Proposals:
    """Half of the volume of 8 may be taken: 4 lots fill at the open, the other 6 are canceled."""
    return buy(10, 101, tif="ioc") if n == 1 else None


@on_bars("100 v8 x3", max_volume_share=HALF)
def an_order_to_fill_or_kill_that_can_not_fill_whole_fills_nothing(n: int, ctx: Context) -> Proposals:
    """Only 4 of its 5 lots could fill, so none does; the 4 lots sent beside it fill."""
    return [buy(5, 101, tif="fok"), buy(4, 101, tif="fok")] if n == 1 else None


@on_bars("100, 100, 100 100 94 95")
def an_order_good_till_a_date_ends_there(n: int, ctx: Context) -> Proposals:
    """It ends with bar 2, 60 s after it was sent, so bar 3's low of 94 does not fill the bid of 95."""
    return buy(10, 95, tif="gtd", expire_ns=ctx.ts_ns + 60 * NS_PER_S) if n == 1 else None


@on_bars("100 x2")
def an_order_that_has_expired_already_is_refused(n: int, ctx: Context) -> Proposals:
    """Its date is the moment it is sent: the gate refuses it."""
    return buy(10, 95, tif="gtd", expire_ns=ctx.ts_ns) if n == 1 else None


@on_bars("100 x2")
def what_still_works_when_the_data_end_expires(n: int, ctx: Context) -> Proposals:
    """Nobody came to 95: the order ends with the data, and nothing was traded."""
    return buy(10, 95) if n == 1 else None


@on_bars("100 x2", maker_fee_bps=-1, fee_bps=10)
def a_post_only_order_that_would_take_is_not_executed(n: int, ctx: Context) -> Proposals:
    """At bar 2's open of 100 the bid of 101 would take, so it ends there without a fill or a fee."""
    return buy(10, 101, post_only=True) if n == 1 else None


@on_bars("100, 100 100 95 96", maker_fee_bps=-1, fee_bps=10)
def a_post_only_order_that_rests_earns_the_rebate(n: int, ctx: Context) -> Proposals:
    """It makes at 95: 1 bp of 950 comes back, 0.095."""
    return buy(10, 95, post_only=True) if n == 1 else None


@on_bars("100 x3", instruments=(PERP,), account="perpetual")
def a_reduce_only_order_may_not_open_a_position(n: int, ctx: Context) -> Proposals:
    """Flat, there is nothing to reduce: the gate refuses."""
    return sell(10, reduce_only=True) if n == 1 else None


@on_bars("100 x4, 100 106 99 100", instruments=(PERP,), account="perpetual")
def a_reduce_only_order_whose_position_has_gone_is_canceled_at_its_fill(n: int, ctx: Context) -> Proposals:
    """The offer of 105 would have closed 10; they were sold at market meanwhile, so bar 5 cancels it and not shorts."""
    return {1: buy(10), 2: sell(10, 105, reduce_only=True), 3: sell(10)}.get(n)


@on_bars("100 x3, 100 100 90 95")
def a_canceled_order_never_fills(n: int, ctx: Context) -> Proposals:
    """Canceled after bar 2: the low of 90 in bar 4 finds nothing."""
    return {1: buy(10, 95), 2: CancelIntent(client_order_id=first_order(ctx)) if n == 2 else None}.get(n)


@on_bars("100 x2")
def a_cancel_of_nothing_is_refused(n: int, ctx: Context) -> Proposals:
    """There is no such order."""
    return CancelIntent(client_order_id="NJ-NONE") if n == 1 else None


@on_bars("100 x3, 100 100 96 98")
def an_amended_limit_holds_from_then_on(n: int, ctx: Context) -> Proposals:
    """The bid of 90 is moved to 96 after bar 2 and makes there in bar 4."""
    if n == 2:
        return AmendIntent(client_order_id=first_order(ctx), limit_price_ticks=96)
    return buy(10, 90) if n == 1 else None


@on_bars("100 x3, 100 100 94 98")
def an_amended_quantity_holds_from_then_on(n: int, ctx: Context) -> Proposals:
    """The bid for 10 becomes one for 4, and that is what fills at 95."""
    if n == 2:
        return AmendIntent(client_order_id=first_order(ctx), qty_lots=4)
    return buy(10, 95) if n == 1 else None


@on_bars("100, 95 v8, 100 v8 x2", max_volume_share=HALF)
def an_amendment_below_what_has_filled_is_refused(n: int, ctx: Context) -> Proposals:
    """4 of 10 have filled in bar 2: asking for 3 in all is refused, and the other 6 go on working."""
    if n == 2:
        return AmendIntent(client_order_id=first_order(ctx), qty_lots=3)
    return buy(10, 95) if n == 1 else None


@on_bars("100 x2, 94 100 93 95, 100 100 94 95")
def what_expires_inside_a_bar_may_fill_at_its_open_only(n: int, ctx: Context) -> Proposals:
    """Both end half a minute into bar 3: the bid of 95 makes at its open of 94, the bid of 93 finds its low too late."""
    expires = ctx.ts_ns + 90 * NS_PER_S
    bids = [buy(1, price, tif="gtd", expire_ns=expires) for price in (95, 93)]
    return bids if n == 1 else None
