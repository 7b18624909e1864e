"""Orders on trades and a book, in milliseconds: queues, depth, latency. The gate knows a price from the first trade on."""

from typing import Any

from njord.strategies import AmendIntent, Context, Proposals
from tests.golden.algorithm import buy, first_order, on_ticks, sell

MS = 10**6
BOOK = "0 b99x10 a101x5 a102x5, 1 +100x1"
SPREAD = "0 b99x10 a101x5, 1 +100x1"


@on_ticks(f"{BOOK}, 2 b97x1")
def a_market_order_takes_the_book_level_by_level(n: int, ctx: Context) -> Proposals:
    """5 lots are offered at 101 and 5 at 102: 8 cost 5 x 101 and 3 x 102."""
    return buy(8) if n == 2 else None


@on_ticks(f"{BOOK}, 2 b97x1")
def a_marketable_limit_order_takes_and_the_rest_rests(n: int, ctx: Context) -> Proposals:
    """5 of 8 are to be had at 101; the other 3 rest there until the data end."""
    return buy(8, 101) if n == 2 else None


@on_ticks(f"{BOOK}, 2 b97x1")
def an_immediate_order_takes_what_stands_in_the_book(n: int, ctx: Context) -> Proposals:
    """5 of 8 are to be had at 101, the other 3 are canceled."""
    return buy(8, 101, tif="ioc") if n == 2 else None


@on_ticks(f"{BOOK}, 2 b97x1")
def an_order_to_fill_or_kill_asks_the_whole_depth(n: int, ctx: Context) -> Proposals:
    """8 are not to be had at 101, so nothing fills; at 102 they are, and 8 fill."""
    return {2: buy(8, 101, tif="fok"), 3: buy(8, 102, tif="fok")}.get(n)


@on_ticks(f"{BOOK}, 2 b97x1")
def a_post_only_order_at_the_touch_of_the_other_side_is_refused(n: int, ctx: Context) -> Proposals:
    """A bid of 101 would take from the offer of 101; one of 100 would not."""
    return [buy(1, 101, post_only=True), buy(1, 100, post_only=True)] if n == 2 else None


@on_ticks(f"{BOOK}, 2 -99x10, 3 -99x2, 4 -99x5")
def an_order_waits_behind_those_who_came_before(n: int, ctx: Context) -> Proposals:
    """10 lots stand before the bid for 3: the trade of 10 serves them, the next of 2 fills 2, the last one lot."""
    return buy(3, 99) if n == 2 else None


@on_ticks(f"{BOOK}, 2 b99x4, 3 -99x3, 4 b99x1, 5 -99x2")
def whoever_cancels_was_behind_unless_the_level_says_otherwise(n: int, ctx: Context) -> Proposals:
    """Of 10 ahead at most 4 are left when the level shows 4; 3 trade, 1 is ahead, and of the next 2 one is ours."""
    return buy(3, 99) if n == 2 else None


JOINED_AND_LEFT = f"{BOOK}, 2 b99x20, 3 b99x10, 4 -99x7, 5 b97x1"


@on_ticks(JOINED_AND_LEFT)
def by_the_careful_model_all_cancels_were_behind(n: int, ctx: Context) -> Proposals:
    """10 came behind the bid and 10 left: all 10 ahead are still there, and a trade of 7 does not reach it."""
    return buy(3, 99) if n == 2 else None


@on_ticks(JOINED_AND_LEFT, queue_model="probability")
def by_the_odds_half_of_the_cancels_were_ahead(n: int, ctx: Context) -> Proposals:
    """10 ahead and 10 behind when 10 left: 5 of them were ahead, so the trade of 7 leaves 2 for the bid."""
    return buy(3, 99) if n == 2 else None


@on_ticks(f"{BOOK}, 2 -98x1, 3 b97x1")
def a_trade_through_the_price_fills_all_of_it(n: int, ctx: Context) -> Proposals:
    """Somebody sold at 98, so a bid of 99 was served before, all 3 lots at its own price."""
    return buy(3, 99) if n == 2 else None


@on_ticks(f"{BOOK}, 2 -99x12, 3 b97x1", partial_fills=False)
def without_partial_fills_one_lot_beyond_the_queue_fills_it_all(n: int, ctx: Context) -> Proposals:
    """12 trade, 10 stood ahead: what reaches the bid for 3 at all fills it whole."""
    return buy(3, 99) if n == 2 else None


@on_ticks("0 a101x5, 1 +100x1, 2 a102x1")
def a_market_order_that_finds_nobody_ends(n: int, ctx: Context) -> Proposals:
    """The bid side is empty, so a sale finds nobody; what was bought at 101 stays."""
    return {2: buy(1), 3: sell(1)}.get(n)


@on_ticks(f"{SPREAD}, 5 a101x0 a103x5, 20 b98x1, 30 b97x1", entry_latency_ns=10 * MS)
def an_order_meets_the_book_of_its_arrival(n: int, ctx: Context) -> Proposals:
    """Sent at 1 ms when 101 was offered, it arrives at 11 ms, and by then 103 is asked: bought at 103."""
    return buy(1) if n == 2 else None


@on_ticks(f"{SPREAD}, 5 b98x1, 50 b97x1, 90 b96x1", response_latency_ns=20 * MS)
def a_fill_is_known_after_the_way_back(n: int, ctx: Context) -> Proposals:
    """Filled at 1 ms, known at 21: at 5 ms the strategy still holds nothing, and at 50 ms it sells what it has."""
    if n == 2:
        return buy(1)
    return sell(1) if ctx.own_qty and n < 5 else None


def _stop(ctx: Context, fill: Any) -> Proposals:
    return sell(1, stop=98) if fill.side == "buy" else None


@on_ticks(f"{SPREAD}, 2 b99x0 b98x9, 3 -98x1, 4 b97x1", on_fill=_stop)
def a_stop_wakes_by_the_last_trade_and_not_by_the_book(n: int, ctx: Context) -> Proposals:
    """The bid falls to 98 at 2 ms and nothing happens; the trade at 98 wakes the stop, and it sells to the bid of 98."""
    return buy(1) if n == 2 else None


def _trail(ctx: Context, fill: Any) -> Proposals:
    return sell(1, trail=3) if fill.side == "buy" else None


@on_ticks(f"{SPREAD}, 2 +106x1, 3 b102x9 a104x1, 4 -103x1, 5 b97x1", on_fill=_trail)
def a_trailing_stop_follows_every_trade(n: int, ctx: Context) -> Proposals:
    """3 behind the trade of 106 it stands at 103, where the next trade wakes it: sold to the bid of 102."""
    return buy(1) if n == 2 else None


@on_ticks(f"{BOOK}, 20 -99x99, 30 b97x1")
def an_order_expires_between_two_events(n: int, ctx: Context) -> Proposals:
    """Good for 10 ms: the trade at 20 ms, large enough for the whole queue, comes too late."""
    return buy(1, 99, tif="gtd", expire_ns=ctx.ts_ns + 10 * MS) if n == 2 else None


@on_ticks("0 +100x1, 1 -99x9, 2 -98x1, 3 +100x1")
def without_a_book_a_bid_fills_when_a_trade_goes_through_it(n: int, ctx: Context) -> Proposals:
    """Nobody knows the queue at 99, so the trade of 9 there fills nothing; the one at 98 went through it."""
    return buy(3, 99) if n == 1 else None


@on_ticks("0 +100x1, 1 -99x9, 2 +100x1")
def without_a_book_a_marketable_order_takes_the_next_trade(n: int, ctx: Context) -> Proposals:
    """The last price was 100, so a bid of 101 would find somebody: it takes at the price of the next trade, 99."""
    return buy(3, 101) if n == 1 else None


@on_ticks(f"{SPREAD}, 2 b98x1, 3 b97x1")
def own_orders_do_not_meet(n: int, ctx: Context) -> Proposals:
    """A lot is bought and offered at 100; the bid of 100 that comes then would take it, and ends as a self-trade."""
    return {2: buy(1), 3: sell(1, 100), 4: buy(1, 100)}.get(n)


def _bracketed(ctx: Context, fill: Any) -> Proposals:
    return [sell(1, 103, group_id="x"), sell(1, stop=98, group_id="x")] if fill.side == "buy" else None


@on_ticks(f"{SPREAD}, 2 a103x2, 3 +103x3, 4 b97x1, 5 -98x9", on_fill=_bracketed)
def on_ticks_too_one_exit_cancels_the_other(n: int, ctx: Context) -> Proposals:
    """Placed by the fill itself; the trade of 3 at 103 serves the 2 ahead and then the offer, so 98 stops nothing."""
    return buy(1) if n == 2 else None


def _amended(ctx: Context, qty_lots: int) -> Proposals:
    return AmendIntent(client_order_id=first_order(ctx), qty_lots=qty_lots)


@on_ticks(f"{BOOK}, 2 -99x8, 3 -99x3, 4 b97x1")
def asking_for_less_keeps_the_place_in_the_queue(n: int, ctx: Context) -> Proposals:
    """2 of the 10 ahead are left when the bid for 3 becomes one for 2: of the trade of 3 it gets one."""
    return {2: buy(3, 99), 3: _amended(ctx, 2) if n == 3 else None}.get(n)


@on_ticks(f"{BOOK}, 2 -99x8, 3 -99x3, 4 b97x1")
def asking_for_more_loses_the_place_in_the_queue(n: int, ctx: Context) -> Proposals:
    """The bid for 3 becomes one for 5 and goes behind the 10 that the level shows: the trade of 3 does not reach it."""
    return {2: buy(3, 99), 3: _amended(ctx, 5) if n == 3 else None}.get(n)
