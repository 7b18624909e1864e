"""Orders that depend on each other: one cancels the other, entries and their exits."""

from njord.strategies import CancelIntent, Context, Proposals, bracket
from tests.golden.algorithm import buy, first_order, on_bars, sell

HALF = "0.5"


def _both() -> Proposals:
    return [sell(10, 110, group_id="exit"), sell(10, stop=95, group_id="exit")]


@on_bars("100 x2, 100 111 99 100")
def of_two_linked_exits_one_fills_and_the_other_ends(n: int, ctx: Context) -> Proposals:
    """Bar 3 reaches 110 and not 95: the profit is taken, the stop ends as its sibling."""
    return {1: buy(10), 2: _both()}.get(n)


@on_bars("100 x2, 100 111 94 100")
def of_a_stop_and_a_target_in_one_bar_the_stop_counts(n: int, ctx: Context) -> Proposals:
    """Bar 3 saw 110 and 95, nobody knows in which order: the worse one is assumed, sold at 95."""
    return {1: buy(10), 2: _both()}.get(n)


@on_bars("100 v99 x2, 100 111 99 100 v8, 100 101 94 96 v99", max_volume_share=HALF)
def a_part_of_one_exit_shrinks_the_other_by_as_much(n: int, ctx: Context) -> Proposals:
    """Half of bar 3's volume of 8 is sold at 110; the stop is left with 6, and bar 4 sells them at 95."""
    return {1: buy(10), 2: _both()}.get(n)


@on_bars("100, 100 112 99 105")
def a_bracket_takes_its_profit(n: int, ctx: Context) -> Proposals:
    """The entry fills at the open of bar 2, so the same bar's 112 came later: sold at 110, the stop ends."""
    return bracket(buy(10), take_profit_ticks=110, stop_ticks=95) if n == 1 else None


@on_bars("100, 100 103 94 96")
def a_bracket_is_stopped_out(n: int, ctx: Context) -> Proposals:
    """Bought at the open of bar 2, sold at 95 in the same bar; the target ends."""
    return bracket(buy(10), take_profit_ticks=110, stop_ticks=95) if n == 1 else None


@on_bars("100, 100 106 97 101, 101 106 100 104")
def an_entry_inside_a_bar_takes_no_profit_of_that_bar(n: int, ctx: Context) -> Proposals:
    """Bar 2's 106 may have come before the entry at 98; bar 3's has not: sold at 105 there."""
    return bracket(buy(10, 98), take_profit_ticks=105, stop_ticks=90) if n == 1 else None


@on_bars("100, 100 106 89 101")
def an_entry_inside_a_bar_is_stopped_by_what_must_have_come_later(n: int, ctx: Context) -> Proposals:
    """The low of 89 came after the entry at 98 on the way down: sold at the stop of 90 in the same bar."""
    return bracket(buy(10, 98), take_profit_ticks=105, stop_ticks=90) if n == 1 else None


@on_bars("100 x4")
def exits_end_with_an_entry_that_never_filled(n: int, ctx: Context) -> Proposals:
    """The entry is canceled after bar 2: both exits, asleep so far, end with it."""
    if n == 2:
        return CancelIntent(client_order_id=first_order(ctx))
    return bracket(buy(10, 90), take_profit_ticks=110, stop_ticks=80) if n == 1 else None


@on_bars("100 v8 x2, 105 112 104 108 v99, 100 v99, 108 111 107 110 v99", max_volume_share=HALF)
def exits_close_no_more_than_their_entry_has_filled(n: int, ctx: Context) -> Proposals:
    """4 are bought in bar 2 and sold at 110 in bar 3; the other 6 are bought in bar 4 and sold in bar 5."""
    return bracket(buy(10, 100), take_profit_ticks=110, stop_ticks=80) if n == 1 else None


@on_bars("100 x3")
def a_group_of_two_sides_is_refused(n: int, ctx: Context) -> Proposals:
    """A bid and an offer are no alternatives: the first of the group stands, the second is refused."""
    if n == 2:
        return [sell(10, 110, group_id="g"), buy(10, 90, group_id="g")]
    return buy(10) if n == 1 else None


@on_bars("100 x2")
def an_exit_larger_than_its_entry_is_refused(n: int, ctx: Context) -> Proposals:
    """10 are to be bought, so 11 can not be closed."""
    return [buy(10, 90, intent_id="e"), sell(11, 110, after_intent_id="e")] if n == 1 else None
