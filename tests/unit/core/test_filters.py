"""Filters of the time: what an order had to obey when it was sent."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.errors import ConfigError
from njord.core.filters import INT64_MAX, FilterChange, Filters
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
