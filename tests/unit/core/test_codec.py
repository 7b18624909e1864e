"""Bytes that must be refused, each for its own reason, and the bytes that the journal is made of."""

from decimal import Decimal

import msgspec
import pytest

from njord.core.codec import decode, encode
from njord.core.contracts import Bar, FillEvent, OrderIntent, RunStarted, TimerSet
from njord.core.errors import CodecError
from njord.core.types import Side
from tests.property.strategies import bar, fill_event, instrument

FILL = (
    b'{"kind":"FillEvent","ts_ns":1700000040000000000,"instrument":0,"account_id":"main","strategy_id":"s",'
    b'"intent_id":"i-c1","client_order_id":"c1","side":"buy","price_ticks":1000,"qty_lots":10,"fee":"0.10",'
    b'"fee_asset":"USDT","is_maker":false,"venue_trade_id":"1","ts_venue_ns":1700000040000000000}'
)


def test_the_bytes_of_a_fill_are_what_they_always_were() -> None:
    assert encode(fill_event(fee=Decimal("0.10"))) == FILL
    assert decode(FILL) == fill_event(fee=Decimal("0.10"))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            FILL.replace(b"FillEvent", b"FillEvents"),
            "not a FillEvents of schema 1: Invalid value 'FillEvents'",
        ),
        (FILL.replace(b'"buy"', b'"bye"'), "Invalid enum value 'bye'"),
        (FILL.replace(b'"buy"', b'"BUY"'), "Invalid enum value 'BUY'"),
        (FILL.replace(b'"qty_lots":10', b'"qty_lots":0'), "`int` >= 1"),
        (FILL.replace(b'"qty_lots":10', b'"qty_lots":10.5'), "Expected `int`, got `float`"),
        (FILL.replace(b'"qty_lots":10', b'"qty_lots":"10"'), "Expected `int`, got `str`"),
        (FILL.replace(b'"fee":"0.10"', b'"fee":"NaN"'), "must be finite"),
        (FILL.replace(b'"fee":"0.10"', b'"fee":"Infinity"'), "must be finite"),
        (FILL.replace(b'"fee":"0.10"', b'"fee":"ten"'), "Invalid decimal"),
        (FILL.replace(b'"fee":"0.10",', b""), "missing required field `fee`"),
        (FILL.replace(b'"side"', b'"slide"'), "FillEvent"),
        (FILL + b" {}", "not a message"),
        (FILL + FILL, "not a message"),
        (b"", "not a message"),
        (b"null", "not a message"),
        (b"[]", "not a message"),
        (b"{}", "not a message"),
        (b'{"kind":1}', "not a message"),
        (FILL.replace(b"USDT", b"\xff\xfe"), "can't decode byte"),
        (b'{"kind":"Target","x":' + b"[" * 100_000, "not a message"),
    ],
)
def test_what_is_not_a_message_is_refused_with_its_reason(changed: bytes, why: str) -> None:
    with pytest.raises(CodecError) as refused:
        decode(changed)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_instrument_that_can_not_be_makes_its_message_unreadable_and_nothing_worse() -> None:
    started = RunStarted(
        ts_ns=1,
        run_id="r",
        config_hash="",
        code_hash="",
        seed=1,
        account_id="a",
        report_asset="USDT",
        capital=Decimal(1),
        instruments=(instrument(),),
        strategies=(),
        risk_profile="research",
    )
    assert decode(encode(started)) == started
    for broken in (b'"0.0"', b'"NaN"', b'"-1"'):
        with pytest.raises(CodecError, match="tick_size of BTC/USDT must be > 0"):
            decode(encode(started).replace(b'"tick_size":"0.1"', b'"tick_size":' + broken))
    with pytest.raises(CodecError, match="must be finite"):
        decode(encode(started).replace(b'"capital":"1"', b'"capital":"NaN"'))


def test_an_old_or_impossible_schema_is_refused() -> None:
    with pytest.raises(CodecError, match="FillEvent has schema 0, this version reads 1"):
        decode(FILL.replace(b'"ts_ns"', b'"schema":0,"ts_ns"'))


def test_the_schema_is_written_only_where_it_is_not_1() -> None:
    assert b"schema" not in encode(bar(0, 1, 1, 1, 1))
    assert b'"schema":2' in encode(msgspec.structs.replace(bar(0, 1, 1, 1, 1), schema=2))


def test_memory_views_are_read_too() -> None:
    assert isinstance(decode(memoryview(FILL)), FillEvent)
    assert isinstance(decode(encode(bar(0, 1, 1, 1, 1))), Bar)


def test_plain_text_for_an_enum_comes_back_as_the_enum() -> None:
    decoded = decode(b'{"kind":"OrderIntent","side":"sell","qty_lots":3}')
    assert isinstance(decoded, OrderIntent)
    assert decoded.side is Side.SELL


def test_times_beyond_64_bits_are_still_whole_numbers() -> None:
    timer = TimerSet(key="k", due_ns=10**30)
    assert decode(encode(timer)) == timer
