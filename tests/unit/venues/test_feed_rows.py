"""Messages of a trade stream: what is a trade and what is none."""

from decimal import Decimal
from typing import Any

import pytest

from njord.core.instrument import Instrument
from njord.venues.feed_rows import pushed_trade, symbol_of

BTC = Instrument(
    symbol="BTC/USDT",
    venue="binanceus",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)


def message(**changed: Any) -> dict[str, Any]:
    plain = {
        "e": "aggTrade", "E": 1_700_000_000_123, "s": "BTCUSDT", "a": 77, "p": "37000.12000000", "q": "0.01500000",
        "f": 5, "l": 6, "T": 1_700_000_000_120, "m": True, "M": True,
    }  # fmt: skip
    return {**plain, **changed}


def test_a_trade_is_put_exactly_on_the_grid() -> None:
    trade = pushed_trade(message(), BTC)
    assert trade is not None
    assert trade == (77, 1_700_000_000_120_000_000, -1, 3_700_012, 1500, True)
    assert pushed_trade(message(m=False), BTC)[2] == 1  # type: ignore[index]


def test_what_lies_off_the_grid_is_rounded_and_marked() -> None:
    trade = pushed_trade(message(p="37000.1270"), BTC)
    assert trade is not None and trade.price_ticks == 3_700_013 and not trade.is_on_grid


@pytest.mark.parametrize(
    "changed",
    [
        {"p": "NaN"}, {"p": "-1.00"}, {"p": "0.00000000"}, {"p": "1e5"}, {"p": ""}, {"p": 37000.12}, {"p": None},
        {"p": "9" * 60}, {"p": "Infinity"}, {"q": "0"}, {"q": "0.000000001"}, {"q": "-0.1"}, {"a": -1}, {"a": 2**63},
        {"a": "77"}, {"a": 7.5}, {"a": None}, {"T": 0}, {"T": -5}, {"T": 10**30}, {"T": "now"}, {"m": "true"},
        {"s": "ETHUSDT"}, {"s": None}, {"s": ""},
    ],
)  # fmt: skip
def test_hostile_messages_are_no_trades(changed: dict[str, Any]) -> None:
    assert pushed_trade(message(**changed), BTC) is None


@pytest.mark.parametrize("what", [None, 3, [], "x", {}, {"e": "aggTrade"}])
def test_what_has_another_shape_is_no_trade(what: Any) -> None:
    assert pushed_trade(what, BTC) is None


def test_a_message_without_a_symbol_is_about_none() -> None:
    assert symbol_of({"s": 5}) == "" and symbol_of({}) == "" and symbol_of({"s": "BTCUSDT"}) == "BTCUSDT"
