"""What trading costs: fees, rebates, tiers, slippage, and the share of the volume."""

from msgspec.structs import replace

from njord.strategies import Context, Proposals
from tests.golden.algorithm import COIN, buy, on_bars, sell

CENTS = replace(COIN, money_scale=2)


@on_bars("33 x2", fee_bps=7, instruments=(CENTS,))
def a_fee_is_rounded_up_to_the_cent(n: int, ctx: Context) -> Proposals:
    """7 bp of 33 are 0.0231: 0.03 are paid."""
    return buy(1) if n == 1 else None


@on_bars("100, 100 100 95 96", maker_fee_bps=-1, instruments=(CENTS,))
def a_rebate_is_rounded_toward_zero(n: int, ctx: Context) -> Proposals:
    """1 bp of 950 is 0.095: 0.09 come back."""
    return buy(10, 95) if n == 1 else None


TIER = {"volume_notional": 1000, "maker_bps": 0, "taker_bps": 5}


@on_bars("100 x4", fee_bps=10, fee_tiers=[TIER])
def fees_fall_with_the_volume_that_came_before(n: int, ctx: Context) -> Proposals:
    """The first 1,000 pay 10 bp, 1; only they lift the account into the tier, so the next 1,000 pay 5 bp, 0.5."""
    return buy(10) if n <= 2 else None


@on_bars("100 x3", fee_bps=100, fee_asset="received")
def a_fee_in_kind_is_taken_from_what_was_bought(n: int, ctx: Context) -> Proposals:
    """10 are paid for with 1,000, and 1 % of them, 0.1, stays at the venue: 9.9 are held, all cash fees 0."""
    return buy(10) if n == 1 else None


@on_bars("101 x3", slippage_bps=5)
def slippage_moves_to_the_next_worse_tick(n: int, ctx: Context) -> Proposals:
    """5 bp of 101 are a twentieth of a tick: bought at 102, sold at 100."""
    return {1: buy(10), 2: sell(10)}.get(n)


@on_bars("100 v10 x2", slippage_model="linear", impact_bps=1000)
def linear_impact_grows_with_the_share_of_the_volume(n: int, ctx: Context) -> Proposals:
    """10 % for the whole volume, half of it bought: 5 %, 105."""
    return buy(5) if n == 1 else None


@on_bars("100 v100 x2", slippage_model="square_root", impact_bps=1000)
def square_root_impact_grows_with_the_root_of_the_share(n: int, ctx: Context) -> Proposals:
    """10 % for the whole volume, a quarter of it bought, whose root is a half: 5 %, 105."""
    return buy(25) if n == 1 else None


@on_bars("100 v8 x5", max_volume_share="0.5")
def a_share_of_the_volume_fills_an_order_over_several_bars(n: int, ctx: Context) -> Proposals:
    """Half of 8 a bar: 4, 4 and 2."""
    return buy(10) if n == 1 else None
