"""Filters of the time: what an order had to obey when it was sent."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.errors import ConfigError
from njord.core.filters import INT64_MAX, FilterChange, Filters, is_within
from njord.core.instrument import Instrument
from tests.property.strategies import instrument


def traded(*changes: FilterChange) -> Instrument:
    return instrument(min_qty=Decimal("0.0015"), min_notional=Decimal(10), filter_changes=changes)


def test_without_changes_the_instruments_own_filters_hold_at_all_times() -> None:
    assert traded().filters_at(0) == traded().filters_at(2**62) == Filters(2, INT64_MAX, Decimal(10), 1, 1)


def test_a_change_is_in_force_from_its_own_time_until_the_next() -> None:
    coin = traded(
        FilterChange(from_ns=100, min_qty=Decimal("0.01"), tick_multiple=5),
        FilterChange(from_ns=200, max_qty=Decimal(3), lot_multiple=10, min_notional=Decimal(1)),
    )
    assert coin.filters_at(99) == Filters(2, INT64_MAX, Decimal(10), 1, 1)
    assert coin.filters_at(100) == coin.filters_at(199) == Filters(10, INT64_MAX, Decimal(0), 5, 1)
    assert coin.filters_at(200) == Filters(1, 3000, Decimal(1), 1, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"from_ns": 5}, {"from_ns": 5}], "at 5 must come after 5"),
        ([{"from_ns": 1, "min_qty": Decimal(-1)}], "min_qty of BTC/USDT must be >= 0, was -1"),
        ([{"from_ns": 1, "tick_multiple": 0}], "tick_multiple must be >= 1, was 0"),
        (
            [{"from_ns": 1, "min_qty": Decimal(2), "max_qty": Decimal(1)}],
            "max_qty must be >= min_qty 2, was 1",
        ),
    ],
)
def test_changes_that_no_order_could_obey_are_refused(changes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        traded(*(FilterChange(**change) for change in changes))


def test_changes_survive_being_written_and_an_instrument_written_before_them_can_be_read() -> None:
    coin = traded(FilterChange(from_ns=100, min_qty=Decimal("0.01")))
    assert msgspec.json.decode(msgspec.json.encode(coin), type=Instrument) == coin
    old = msgspec.to_builtins(traded())
    del old["filter_changes"]
    assert msgspec.convert(old, Instrument) == traded()


# --- limits beside the filters ---

LIMITS = {
    "max_market_qty": Decimal("0.5"),
    "max_open_orders": 2,
    "buy_band": (Decimal("0.2"), Decimal("1.5")),
    "sell_band": (Decimal("0.8"), Decimal(5)),
}


def test_limits_that_are_not_set_stand_in_no_text_and_those_that_are_survive_it() -> None:
    plain, limited = traded(), msgspec.structs.replace(traded(), **LIMITS)
    assert not plain.has_limits and limited.has_limits
    assert (plain.max_market_lots, limited.max_market_lots) == (INT64_MAX, 500)
    assert not set(LIMITS) & set(msgspec.to_builtins(plain))
    assert msgspec.json.decode(msgspec.json.encode(limited), type=Instrument) == limited != plain


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_market_qty", Decimal(-1), "max_market_qty of BTC/USDT must be >= 0, was -1"),
        ("max_open_orders", 0, "max_open_orders of BTC/USDT must be >= 1, was 0"),
        ("buy_band", (Decimal(2), Decimal(1)), "buy_band of BTC/USDT must be two multiples .* was 2, 1"),
        ("sell_band", (Decimal(1), Decimal("inf")), "sell_band of BTC/USDT must be two multiples"),
    ],
)
def test_limits_that_no_order_could_obey_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        instrument(**{name: value})


def test_a_price_lies_in_a_band_around_an_average_with_both_its_edges() -> None:
    band = (Decimal("0.5"), Decimal("1.5"))
    assert [is_within(band, ticks, 100) for ticks in (49, 50, 150, 151)] == [False, True, True, False]
    # 1 lot at 100 and 3 at 60: 70 on average.
    assert [is_within(band, ticks, 280, 4) for ticks in (34, 35, 105, 106)] == [False, True, True, False]
