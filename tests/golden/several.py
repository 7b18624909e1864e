"""Several strategies and several symbols on one account."""

from decimal import Decimal

from njord.strategies import Context, Proposals, Target
from tests.golden.algorithm import COIN, MOON, PERP, buy, on_bars, sell


@on_bars("100 x2, 110\n50 x2, 40", instruments=(COIN, MOON), trades=(0, 1))
def two_symbols_of_one_strategy_share_the_cash(n: int, ctx: Context) -> Proposals:
    """Both objects buy 10 at bar 2's opens: 1,000 and 500 are paid, and at the end 1,100 and 400 are held."""
    return buy(10) if n == 1 else None


def _buys_five(n: int, ctx: Context) -> Proposals:
    return buy(5) if n == 1 else None


@on_bars("100 x5", others={"b": _buys_five})
def a_target_is_about_what_the_strategy_itself_holds(n: int, ctx: Context) -> Proposals:
    """10 of s and 5 of b are bought; s wants 0 and sells its own 10, the 5 of b stay."""
    return {1: Target(qty=Decimal(10)), 3: Target(qty=Decimal(0))}.get(n)


def _bids_above(n: int, ctx: Context) -> Proposals:
    return buy(10, 106) if n == 3 else None


@on_bars("100 x4, 107", others={"b": _bids_above})
def nobody_trades_with_himself(n: int, ctx: Context) -> Proposals:
    """The offer of s rests at 105 when b bids 106: the newer one ends, and the offer makes at bar 5's open of 107."""
    return {1: buy(10), 2: sell(10, 105)}.get(n)


def _sells(n: int, ctx: Context) -> Proposals:
    return sell(10) if n == 1 else None


@on_bars("100 x3, 120", instruments=(PERP,), account="perpetual", others={"b": _sells})
def two_strategies_may_hold_opposite_positions(n: int, ctx: Context) -> Proposals:
    """s buys 10 and b sells 10 of one contract: the account is flat, and 20 higher nothing is earned or lost."""
    return buy(10) if n == 1 else None


@on_bars("100 x4, 107", others={"b": _bids_above}, self_trade="expire_maker")
def nobody_trades_with_himself_and_the_older_order_may_give_way(n: int, ctx: Context) -> Proposals:
    """The same, but the offer at 105 ends, and the bid of 106 takes at bar 4's open of 100."""
    return {1: buy(10), 2: sell(10, 105)}.get(n)


@on_bars("100 x4, 107", others={"b": _bids_above}, self_trade="expire_both")
def nobody_trades_with_himself_and_both_orders_may_end(n: int, ctx: Context) -> Proposals:
    """The same, and neither is left."""
    return {1: buy(10), 2: sell(10, 105)}.get(n)
