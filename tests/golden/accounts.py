"""What an account may do, and what happens to it: spot, margin, perpetual; funding and liquidation."""

from typing import Any

from njord.strategies import Context, Proposals
from tests.golden.algorithm import PERP, buy, on_bars, sell

TENFOLD: dict[str, Any] = {
    "account": "perpetual",
    "leverage": 10,
    "maintenance_margin_bps": 625,
    "liquidation_fee_bps": 50,
}
FOUR_HOURS = 4 * 3600


@on_bars("100 x3")
def spot_can_not_sell_what_it_does_not_hold(n: int, ctx: Context) -> Proposals:
    """Flat on spot: the gate refuses the sale."""
    return sell(10) if n == 1 else None


@on_bars("100 x2, 80 x3", account="margin")
def a_margin_account_may_sell_first(n: int, ctx: Context) -> Proposals:
    """Sold at 100, bought back at 80: 20 x 10 earned."""
    return {1: sell(10), 3: buy(10)}.get(n)


@on_bars("100 x2, 110 x2", instruments=(PERP,), account="perpetual")
def a_contract_settles_its_profit_and_not_its_worth(n: int, ctx: Context) -> Proposals:
    """The cash stays 10,000 while 10 contracts are held, and is 10,100 after they are sold 10 higher."""
    return {1: buy(10), 3: sell(10)}.get(n)


@on_bars("100 x3", instruments=(PERP,), account="perpetual", leverage=2)
def leverage_lets_a_position_exceed_the_equity(n: int, ctx: Context) -> Proposals:
    """150 contracts are worth 15,000, within 2 x 10,000; 60 more would be 21,000, and are refused."""
    return {1: buy(150), 2: buy(60)}.get(n)


@on_bars("100 x3", instruments=(PERP,), account="perpetual")
def without_leverage_a_position_is_bound_by_the_equity(n: int, ctx: Context) -> Proposals:
    """150 contracts are worth 15,000, more than the 10,000 there are: refused."""
    return buy(150) if n == 1 else None


@on_bars("100, 101 x2")
def what_the_open_makes_unaffordable_is_canceled(n: int, ctx: Context) -> Proposals:
    """100 x 100 was all the cash; at the open of 101 it costs 10,100, and the venue cancels it whole."""
    return buy(100) if n == 1 else None


@on_bars("100 x2, 99 99 95 97, 97", capital=1_000, instruments=(PERP,), **TENFOLD)
def a_position_is_liquidated_where_equity_meets_maintenance(n: int, ctx: Context) -> Proposals:
    """At 96 equity is 1,000 - 400 = 600 = 6.25 % of 9,600: closed there for a fee of 48, and the offer ends before."""
    return {1: buy(100), 2: sell(100, 120)}.get(n)


@on_bars("100 x2, 94 x2", capital=1_000, instruments=(PERP,), **TENFOLD)
def a_liquidation_that_the_open_jumps_over_happens_at_the_open(n: int, ctx: Context) -> Proposals:
    """No 96 was there to be had: closed at 94, equity 400, less a fee of 47."""
    return buy(100) if n == 1 else None


@on_bars(
    "100, 100 110 100 110, 110 x2",
    interval_s=FOUR_HOURS,
    instruments=(PERP,),
    account="perpetual",
    funding_bps=100,
)
def longs_pay_positive_funding(n: int, ctx: Context) -> Proposals:
    """Bought at 04:00; at 08:00 the mark is bar 2's close of 110, and 1 % of 1,100 is paid: 11. The data end at 16:00."""
    return {1: buy(10), 3: sell(10)}.get(n)


@on_bars("100 x4", interval_s=FOUR_HOURS, instruments=(PERP,), account="perpetual", funding_bps=100)
def shorts_receive_positive_funding(n: int, ctx: Context) -> Proposals:
    """Sold at 04:00: 1 % of 1,000 comes at 08:00; bought back at 12:00, so nothing at 16:00."""
    return {1: sell(10), 3: buy(10)}.get(n)


@on_bars("100 x3", account="margin", leverage=2)
def a_margin_account_may_borrow(n: int, ctx: Context) -> Proposals:
    """150 coins cost 15,000, of which 5,000 are borrowed: the cash is -5,000, the equity as before."""
    return buy(150) if n == 1 else None
