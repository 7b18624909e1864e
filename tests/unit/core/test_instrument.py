"""Instrument: what it refuses, and hand-made cases of each direction."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.errors import ConfigError
from njord.core.filters import INT64_MAX
from njord.core.instrument import exact
from njord.core.types import Side
from tests.property.strategies import instrument


def only(field: str, value: str) -> dict[str, Any]:
    return {field: Decimal(value)}


@pytest.mark.parametrize("field", ["tick_size", "lot_size"])
@pytest.mark.parametrize("value", ["0", "-0.1", "NaN", "sNaN", "Infinity"])
def test_a_step_must_be_positive_and_finite(field: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} of BTC/USDT must be > 0, was {value}"):
        instrument(**only(field, value))


@pytest.mark.parametrize("field", ["tick_size", "lot_size"])
def test_a_step_has_18_decimals_at_most(field: str) -> None:
    assert instrument(**only(field, "1e-18")).id == "BTC/USDT@sim"
    with pytest.raises(ConfigError, match="18 decimals at most"):
        instrument(**only(field, "1e-19"))


@pytest.mark.parametrize("value", ["1e999999", "1e19", "0." + "1" * 41, "0." + "1" * 200])
def test_a_step_of_absurd_size_or_length_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(ConfigError, match="tick_size of BTC/USDT must be"):
        instrument(tick_size=Decimal(value))


@pytest.mark.parametrize("field", ["min_qty", "max_qty", "min_notional"])
@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "1e999999"])
def test_a_bound_must_be_a_sane_amount(field: str, value: str) -> None:
    with pytest.raises(ConfigError, match=field):
        instrument(**only(field, value))


@pytest.mark.parametrize("scale", [-1, 19])
def test_fees_have_0_to_18_decimals(scale: int) -> None:
    with pytest.raises(ConfigError, match=f"money_scale of BTC/USDT must be 0 to 18, was {scale}"):
        instrument(money_scale=scale)


def test_smallest_and_largest_orders_are_rounded_inwards() -> None:
    traded = instrument(lot_size=Decimal("0.3"), min_qty=Decimal("0.4"), max_qty=Decimal("1.0"))
    assert (traded.min_qty_lots, traded.max_qty_lots) == (2, 3)
    assert (instrument().min_qty_lots, instrument().max_qty_lots) == (1, INT64_MAX)
    assert instrument(min_qty=Decimal("0.003")).min_qty_lots == 3


@pytest.mark.parametrize(
    ("asked", "buy", "sell"), [("100.04", 1000, 1001), (100.1, 1001, 1001), ("0.05", 0, 1), ("-0.05", -1, 0)]
)
def test_a_limit_goes_to_the_tick_that_is_not_worse(asked: str | float, buy: int, sell: int) -> None:
    assert instrument().limit_ticks(asked, Side.BUY) == buy
    assert instrument().limit_ticks(asked, Side.SELL) == sell


def test_0_1_plus_0_2_is_not_on_the_grid_and_0_3_is() -> None:
    assert instrument().exact_ticks(0.3) == 3
    with pytest.raises(ValueError, match="is not a multiple of its tick"):
        instrument().exact_ticks(0.1 + 0.2)


@pytest.mark.parametrize("value", ["1e100", Decimal("9" * 90), 1e300])
def test_what_is_beyond_all_sizes_is_a_value_error(value: Any) -> None:
    traded = instrument()
    for door in (traded.lots, traded.exact_ticks, lambda asked: traded.limit_ticks(asked, Side.BUY)):
        with pytest.raises(ValueError, match=r"is beyond any price or quantity of BTC/USDT"):
            door(value)


@pytest.mark.parametrize("value", ["NaN", float("nan"), float("inf"), "ten", "", Decimal("sNaN")])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a"):
        exact(value)


@pytest.mark.parametrize(("rate", "fee"), [("10", "0.00000002"), ("-10", "-0.00000001"), ("0", "0")])
def test_a_charge_is_rounded_up_and_a_rebate_toward_zero(rate: str, fee: str) -> None:
    assert instrument().fee(Decimal("0.000015"), Decimal(rate)) == Decimal(fee)


def test_it_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        instrument().tick_size = Decimal(1)  # type: ignore[misc]  # That it fails is the test.
    assert instrument().id == "BTC/USDT@sim"
