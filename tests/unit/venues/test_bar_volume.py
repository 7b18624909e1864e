"""A bar's volume: what may be taken of it, and what taking costs, by hand."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.contracts import Bar
from njord.core.errors import ConfigError
from njord.core.types import OrderReason, OrderType, Side, TimeInForce
from njord.venues.terms import VenueTerms
from tests.property.strategies import bar
from tests.unit.venues.venue_case import PERP, canceled, fills, lots, placed, request, venue

IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
TENTH = Decimal("0.1")


def quiet(number: int, volume: int, price: int = 1000) -> Bar:
    return msgspec.structs.replace(bar(number, price, price, price, price), volume_lots=volume)


def test_a_large_order_fills_over_several_bars() -> None:
    where = placed(venue(PERP, cash="9999", slippage="0", max_volume_share=TENTH), request())
    assert [lots(where.on_bar(quiet(number, 49))) for number in range(3)] == [
        [("c1", 4)],
        [("c1", 4)],
        [("c1", 2)],
    ]
    assert where.n_working == 0


def test_our_orders_share_one_bar() -> None:
    where = venue(PERP, cash="9999", slippage="0", max_volume_share=TENTH)
    placed(where, request("a", qty_lots=3), request("b", qty_lots=3), request("c", qty_lots=3))
    assert lots(where.on_bar(quiet(0, 50))) == [("a", 3), ("b", 2)]


def test_an_order_that_must_fill_at_once_takes_what_there_is_or_nothing() -> None:
    where = venue(PERP, cash="9999", slippage="0", max_volume_share=TENTH)
    placed(
        where,
        request("all", limit=1000, tif=FOK),
        request("some", limit=1000, tif=IOC),
        request("none", tif=IOC),
    )
    reports = where.on_bar(quiet(0, 70))
    assert lots(reports) == [("some", 7)]
    assert canceled(reports) == [
        ("all", OrderReason.FOK_UNFILLED),
        ("some", OrderReason.IOC_REMAINDER),
        ("none", OrderReason.IOC_REMAINDER),
    ]


def test_a_fill_or_kill_order_away_from_the_market_is_killed() -> None:
    where = placed(venue(), request(limit=90, tif=FOK))
    assert canceled(where.on_bar(bar(0, 100, 100, 80, 100))) == [("c1", OrderReason.FOK_UNFILLED)]


def test_a_stop_without_volume_goes_on_as_a_market_order() -> None:
    where = venue(PERP, cash="9999", slippage="0", max_volume_share=TENTH)
    placed(where, request(type=OrderType.STOP, side=Side.SELL, trigger=990))
    stopped = msgspec.structs.replace(bar(0, 1000, 1000, 990, 1000), volume_lots=30)
    assert fills(where.on_bar(stopped)) == [("c1", 990, False)]
    assert fills(where.on_bar(quiet(1, 1000, price=995))) == [("c1", 995, False)]


def test_what_the_volume_left_of_a_taker_rests_and_makes() -> None:
    where = venue(PERP, cash="9999", slippage="0", max_volume_share=TENTH)
    placed(where, request(limit=1000))
    assert fills(where.on_bar(quiet(0, 50))) == [("c1", 1000, False)]
    assert fills(where.on_bar(quiet(1, 50, price=999))) == [("c1", 999, True)]


@pytest.mark.parametrize(
    ("model", "volume", "price"),
    [
        ("fixed", 40, 1010),
        ("linear", 40, 1035),  # 100 bps + 1000 bps x 10/40.
        ("square_root", 40, 1060),  # 100 bps + 1000 bps x sqrt(10/40).
        ("linear", 30, 1044),  # 33.3 ticks, to the next worse.
        ("square_root", 30, 1068),  # 57.7 ticks.
        ("linear", 0, 1110),  # An unknown volume counts as the order's own.
        ("square_root", 0, 1110),
    ],
)
def test_taking_costs_more_the_more_of_the_volume_it_is(model: str, volume: int, price: int) -> None:
    where = venue(PERP, cash="9999", slippage_model=model, impact_bps=Decimal(1000))
    assert fills(placed(where, request()).on_bar(quiet(0, volume))) == [("c1", price, False)]
    assert where.slippage_paid == price - 1000


def test_impact_stops_at_the_limit() -> None:
    where = venue(PERP, cash="9999", slippage_model="linear", impact_bps=Decimal(1000))
    assert fills(placed(where, request(limit=1020)).on_bar(quiet(0, 40))) == [("c1", 1020, False)]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"max_volume_share": Decimal("1.1")}, "max_volume_share must be 0 to 1, was 1.1"),
        ({"impact_bps": Decimal(-1)}, "impact_bps must be >= 0, was -1"),
        ({"leverage": Decimal(2)}, "leverage must be 1 on a spot account, was 2"),
        ({"leverage": Decimal("0.5"), "account": "margin"}, "leverage must be >= 1, was 0.5"),
        ({"entry_latency_ns": -1}, "latencies must be >= 0"),
        ({"maintenance_margin_bps": Decimal(10_000)}, "maintenance_margin_bps must be < 10000"),
    ],
)
def test_terms_out_of_bounds_are_refused(given: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        VenueTerms(**given)
