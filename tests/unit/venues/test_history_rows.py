"""The venue's decimal texts become whole steps exactly; what can not be is left out and counted."""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MINUTE
from njord.venues.binance_rows import (
    AggTrade,
    Filter,
    Kline,
    SymbolRules,
    bar_page,
    instrument_of,
    parse_steps,
    trade_page,
)
from njord.venues.ccxt_rest import parse_endpoint
from njord.venues.history import VenueRefusal

OPEN_MS = 1_700_000_040_000


def spot(tick: str = "0.01", lot: str = "0.00001") -> Instrument:
    return Instrument(
        symbol="BTC/USDT", venue="binanceus", base="BTC", quote="USDT",
        tick_size=Decimal(tick), lot_size=Decimal(lot),
    )  # fmt: skip


def kline(*prices: str, volume: str = "1.00000000", open_ms: int = OPEN_MS, length_ms: int = 60_000) -> Kline:
    open_, high, low, close = prices or ("1.0", "2.0", "0.5", "1.5")
    return Kline(open_ms, open_, high, low, close, volume, open_ms + length_ms - 1)


@given(
    st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False),
    st.sampled_from(["0.01", "0.00000001", "0.05", "0.25", "1", "10", "100", "0.3"]),
)
def test_steps_are_what_decimal_arithmetic_says(value: Decimal, step: str) -> None:
    instrument = spot(tick=step)
    steps, is_exact = parse_steps(format(value, "f"), instrument.tick_scale, instrument.tick_multiple)
    quotient = value / Decimal(step)
    if is_exact:
        assert steps * Decimal(step) == value
    assert abs(steps * Decimal(step) - value) * 2 <= Decimal(step)
    if step != "0.3":  # Thirds have no end; the others divide exactly.
        assert steps == quotient.to_integral_value(ROUND_HALF_EVEN)
        assert is_exact == (quotient == quotient.to_integral_value())


@pytest.mark.parametrize("text", ["0.015", "0.025", "0.035"])
def test_a_half_goes_to_the_even_step(text: str) -> None:
    assert parse_steps(text, 2, 1) == (
        int(Decimal(text).quantize(Decimal("0.01"), ROUND_HALF_EVEN) * 100),
        False,
    )


@pytest.mark.parametrize(
    "text", ["", ".", "-1", "+1", "1e5", "nan", "inf", " 1", "1_0", "1,5", "0x1", "١٢", "1.2.3", "9" * 41]
)
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a plain decimal number"):
        parse_steps(text, 2, 1)


def test_a_number_beyond_int64_is_refused_and_the_largest_is_not() -> None:
    assert parse_steps(str(2**63 - 1), 0, 1) == (2**63 - 1, True)
    with pytest.raises(ValueError, match="more steps"):
        parse_steps(str(2**63), 0, 1)
    with pytest.raises(ValueError, match="more steps"):
        bar_page([kline(volume="92233720368547758.08")], spot(), NS_PER_MINUTE)


def test_a_bar_becomes_ticks_and_lots_and_says_what_was_rounded() -> None:
    rows = [
        kline("30000.01000000", "30000.02", "29999.99", "30000", volume="0.12345"),
        kline("30000.015", "30000.02", "29999.99", "30000", open_ms=OPEN_MS + 60_000),
        kline(volume="0.123456", open_ms=OPEN_MS + 120_000),
    ]
    page = bar_page(rows, spot(), NS_PER_MINUTE)
    assert {name: values.tolist() for name, values in page.columns.items()} == {
        "ts_open_ns": [(OPEN_MS + minute * 60_000) * 1_000_000 for minute in range(3)],
        "open": [3_000_001, 3_000_002, 100],
        "high": [3_000_002, 3_000_002, 200],
        "low": [2_999_999, 2_999_999, 50],
        "close": [3_000_000, 3_000_000, 150],
        "volume_lots": [12_345, 100_000, 12_346],
    }
    assert page.off_grid.tolist() == [False, True, False]
    assert page.rounded_volume.tolist() == [False, False, True]


@pytest.mark.parametrize(
    "row",
    [
        kline("0", "1", "1", "1"),
        kline("1", "1", "0.000", "1"),
        kline(length_ms=59_999),
        kline(length_ms=300_000),
        kline(open_ms=-60_000),
        kline(open_ms=2**62),
    ],
)
def test_a_bar_that_can_not_be_is_left_out_with_its_time(row: Kline) -> None:
    page = bar_page([row, kline(open_ms=OPEN_MS + 60_000)], spot(), NS_PER_MINUTE)
    assert page.columns["ts_open_ns"].tolist() == [(OPEN_MS + 60_000) * 1_000_000]
    time_ns = OPEN_MS * 1_000_000 if row.open_ms == OPEN_MS else 0
    assert page.unusable == ((time_ns, time_ns),)


def test_a_trade_has_the_side_of_whoever_took() -> None:
    body = b'[{"a":7,"p":"1.50000000","q":"0.00002","f":1,"l":2,"T":1700000000123,"m":true,"M":true},{"a":8,"p":"1.505","q":"0.00003","T":1700000000124,"m":false}]'
    page = trade_page(msgspec.json.decode(body, type=list[AggTrade]), spot())
    assert {name: values.tolist() for name, values in page.columns.items()} == {
        "ts_ns": [1700000000123_000_000, 1700000000124_000_000],
        "ts_venue_ns": [1700000000123_000_000, 1700000000124_000_000],
        "trade_id": [7, 8],
        "side": [-1, 1],
        "price_ticks": [150, 150],
        "qty_lots": [2, 3],
    }
    assert page.off_grid.tolist() == [False, True]
    empty = AggTrade(9, "1", "0.00000000", 1, True)
    assert trade_page([empty], spot()).unusable == ((1_000_000, 9),)


def rules(*filters: Filter) -> SymbolRules:
    return SymbolRules("BTCUSDT", "BTC", "USDT", list(filters))


PRICE = Filter("PRICE_FILTER", tick_size="0.01000000")
LOT = Filter("LOT_SIZE", step_size="0.00001000", min_qty="0.00001000", max_qty="9000.00000000")


@pytest.mark.parametrize("name", ["MIN_NOTIONAL", "NOTIONAL"])
def test_the_venues_filters_become_an_instrument_exactly(name: str) -> None:
    found = instrument_of(
        "BTC/USDT", "binanceus", rules(PRICE, LOT, Filter(name, min_notional="10.00000000"))
    )
    assert found == Instrument(
        symbol="BTC/USDT", venue="binanceus", base="BTC", quote="USDT", tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"), min_qty=Decimal("0.00001"), max_qty=Decimal(9000), min_notional=Decimal(10),
    )  # fmt: skip


@pytest.mark.parametrize("filters", [(), (PRICE,), (LOT,), (Filter("PRICE_FILTER", tick_size="0.00"), LOT)])
def test_rules_without_a_tick_or_a_lot_are_refused(filters: tuple[Filter, ...]) -> None:
    with pytest.raises(VenueRefusal, match="no usable rules for BTC/USDT"):
        instrument_of("BTC/USDT", "binanceus", rules(*filters))


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("http://127.0.0.1:9095", "http://127.0.0.1:9095"),
        ("https://api.binance.us/", "https://api.binance.us"),
        ("http://[::1]:9095", "http://[::1]:9095"),
    ],
)
def test_an_endpoint_is_scheme_host_and_port(text: str, endpoint: str) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "", "127.0.0.1:9095", "ftp://x", "http://", "http://h:99999", "http://h:x", "http://u:p@h", "http://h/api",
        "http://h?x=1", "http://h#x", "http://h h", "http://h\n", "file:///etc/passwd", "http://[::1",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--endpoint .* is not an address of a venue") as said:
        parse_endpoint(text)
    assert "\n" not in str(said.value)
