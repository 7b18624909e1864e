"""A resting order that a newer one of ours has ended at a bar's open is not filled when the bar comes to its limit."""

import pytest

from njord.core.types import OrderReason, Side
from njord.venues.terms import SelfTrade
from tests.property.strategies import INTERVAL_NS, START_NS, bar
from tests.unit.venues.venue_case import PERP, canceled, fills, placed, request, venue


@pytest.mark.parametrize(("policy", "gone"), [("expire_maker", ["buy"]), ("expire_both", ["buy", "sell"])])
def test_what_a_crossing_order_has_ended_does_not_fill_inside_the_bar(
    policy: SelfTrade, gone: list[str]
) -> None:
    where = placed(venue(PERP, self_trade=policy, slippage="0"), request("buy", limit=95))
    where.on_bar(bar(0, 100, 100, 100, 100))
    placed(where, request("sell", side=Side.SELL, limit=94, ts_ns=START_NS + INTERVAL_NS))
    reports = where.on_bar(bar(1, 100, 100, 94, 94))
    assert canceled(reports) == [(name, OrderReason.SELF_TRADE) for name in gone]
    assert fills(reports) == ([("sell", 100, False)] if policy == "expire_maker" else [])
