"""What the strategies have, as one stage follows it for all that are asked after it."""

from decimal import Decimal

from msgspec.structs import replace

from njord.core.account import SpotAccount
from njord.core.contracts import VENUE
from njord.core.holdings import Holdings
from njord.core.types import InstrumentKind, Side
from tests.property.strategies import fill_event, instrument, order_event

SPOT = instrument()
PERP = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR)
OTHER = instrument("ETH/USDT")


def holdings() -> Holdings:
    traded = (SPOT, PERP, OTHER)
    return Holdings(SpotAccount(traded, "USDT", Decimal(1_000)), traded)


def test_buys_less_sales_are_kept_by_strategy_and_orders_shrink_with_them() -> None:
    held = holdings()
    held.working.approve(order_event("c1", strategy_id="s", qty_lots=5))
    held.fill(fill_event("c1", strategy_id="s", side=Side.BUY, qty_lots=3))
    held.fill(fill_event("c2", strategy_id="s", side=Side.SELL, qty_lots=1))
    held.fill(fill_event("c3", strategy_id="other", side=Side.BUY, qty_lots=7))
    assert held.lots == {("s", 0): 2, ("other", 0): 7}
    assert held.working.by_id["c1"].remaining_lots == 2


def test_a_fee_in_kind_is_remembered_for_the_asset_itself_and_not_for_a_contract_on_it() -> None:
    held = holdings()
    paid = fill_event("c1", strategy_id="s", qty_lots=3, fee=Decimal("0.25"), fee_asset=SPOT.base)
    held.fill(paid)
    held.fill(paid)
    assert held.fees_in_kind == {("s", 0): Decimal("0.50")}
    held.fill(replace(paid, instrument=1))
    assert held.fees_in_kind == {("s", 0): Decimal("0.50")}


def test_a_liquidation_closes_what_every_strategy_holds_of_its_instrument_alone() -> None:
    held = holdings()
    for owner, index, asset in (("s", 0, SPOT.base), ("other", 0, SPOT.base), ("s", 2, OTHER.base)):
        held.fill(fill_event("c1", strategy_id=owner, instrument=index, fee=Decimal(1), fee_asset=asset))
    held.fill(fill_event("LIQUIDATION-1", strategy_id=VENUE, side=Side.SELL))
    assert list(held.lots) == [("s", 2)]
    assert list(held.fees_in_kind) == [("s", 2)]
