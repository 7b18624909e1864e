"""What of a session is worth a line: the same event as JSON and in words."""

import json
from decimal import Decimal

import msgspec
import pytest

from njord.cli.paper_events import Event, Events, clock, line_of
from njord.core.contracts import (
    Alert,
    Bar,
    CancelIntent,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderIntent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
)
from njord.core.instrument import Instrument
from njord.core.types import (
    OrderReason,
    OrderStatus,
    OrderType,
    RefusalReason,
    Severity,
    Side,
    TradingState,
)
from njord.core.units import FOREVER_NS, NS_PER_S

T = 1_641_000_000 * NS_PER_S
BTC = Instrument(
    symbol="BTC/USDT",
    venue="file",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    min_notional=Decimal(0),
)
WISH = OrderIntent(
    ts_ns=T,
    instrument=0,
    strategy_id="s",
    intent_id="s-1",
    side=Side.BUY,
    type=OrderType.LIMIT,
    qty_lots=20,
    limit_price_ticks=92_000,
)


def decision(allowed: bool, intent_id: str = "s-1") -> RiskDecision:
    return RiskDecision(
        ts_ns=T,
        instrument=0,
        account_id="main",
        strategy_id="s",
        intent_id=intent_id,
        allowed=allowed,
        reason=None if allowed else RefusalReason.NOTIONAL_EXCEEDS_CAP,
        rule="" if allowed else "max_order_notional",
        evidence=() if allowed else (("notional", "920"), ("cap", "250")),
    )


def update(status: OrderStatus, reason: OrderReason = OrderReason.NONE) -> OrderUpdate:
    return OrderUpdate(
        ts_ns=T,
        instrument=0,
        account_id="main",
        strategy_id="s",
        intent_id="s-1",
        client_order_id="NJ-A",
        status=status,
        reason=reason,
        filled_lots=5,
        ts_venue_ns=T,
    )


FILL = FillEvent(
    ts_ns=T,
    instrument=0,
    account_id="main",
    strategy_id="s",
    intent_id="s-1",
    client_order_id="NJ-A",
    side=Side.SELL,
    price_ticks=92_001,
    qty_lots=2_500,
    fee=Decimal("115.00125"),
    fee_asset="USDT",
    is_maker=False,
    venue_trade_id="1",
    ts_venue_ns=T,
)
TRIPPED = KillSwitchState(
    ts_ns=T,
    state=TradingState.HALTED,
    source="kill_switch",
    valid_until_ns=FOREVER_NS,
    reason="enough",
    operator="ann",
    cancels=True,
)


def events(*messages: Message) -> list[Event]:
    return list(Events([BTC]).of(messages))


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ((WISH, decision(True)), "decision  s BTC/USDT  s-1: buy 0.02 limit at 46000: allowed"),
        (
            (WISH, decision(False)),
            "decision  s BTC/USDT  s-1: buy 0.02 limit at 46000: refused, NOTIONAL_EXCEEDS_CAP by "
            "max_order_notional (notional 920, cap 250)",
        ),
        (
            (CancelIntent(ts_ns=T, intent_id="s-2", client_order_id="NJ-A"), decision(True, "s-2")),
            "decision  s BTC/USDT  s-2: cancel NJ-A: allowed",
        ),
        ((FILL,), "fill      s BTC/USDT  NJ-A: sold 2.5 at 46,000.5, fee 115.00125 USDT, taker"),
        (
            (update(OrderStatus.CANCELED, OrderReason.IOC_REMAINDER),),
            "order_end s BTC/USDT  NJ-A: canceled, IOC_REMAINDER, 0.005 filled",
        ),
        ((TRIPPED,), "switch      halted, says kill_switch by ann: enough; cancels"),
        (
            (
                ProposalRefused(
                    ts_ns=T, instrument=0, strategy_id="s", proposal="", reason=RefusalReason.WARM_UP
                ),
            ),
            "refused   s BTC/USDT  WARM_UP",
        ),
        (
            (StrategySuspended(ts_ns=T, strategy_id="s", error="s.py:3: boom\nbang"),),
            "suspended s  s.py:3: boom bang",
        ),
        (
            (
                Alert(
                    ts_ns=T, severity=Severity.ERROR, category="security", source="gateway", title="no seal"
                ),
            ),
            "alert       error gateway: no seal",
        ),
        (
            (
                FundingEvent(
                    ts_ns=T,
                    instrument=0,
                    account_id="main",
                    rate=Decimal("0.0001"),
                    mark_ticks=92_000,
                    amount=Decimal("-1234.5"),
                    asset="USDT",
                    ts_venue_ns=T,
                ),
            ),
            "funding   BTC/USDT  -1,234.5 USDT",
        ),
    ],
)
def test_a_line_says_whose_and_what_in_one_line(messages: tuple[Message, ...], line: str) -> None:
    (event,) = events(*messages)
    assert line_of(event) == f"2022-01-01T01:20    {line}"


def test_what_only_passes_through_is_no_event() -> None:
    bar = Bar(ts_ns=T, instrument=0, ts_open_ns=T - 1, open=1, high=1, low=1, close=1)
    assert events(bar, WISH, update(OrderStatus.ACCEPTED), update(OrderStatus.PARTIALLY_FILLED)) == []


def test_numbers_of_an_event_are_exact_decimal_texts_in_json() -> None:
    told = json.loads(msgspec.json.encode(events(FILL)[0]))
    assert (told["event"], told["qty"], told["price"], told["fee"]) == ("fill", "2.5", "46000.5", "115.00125")
    assert (told["side"], told["symbol"], told["ts_ns"]) == ("sell", "BTC/USDT", T)


def test_a_wish_is_forgotten_with_its_decision() -> None:
    turner = Events([BTC])
    first, second = turner.of([WISH, decision(True), decision(True)])
    assert (first["wish"], second["wish"]) == ("buy 0.02 limit at 46000", "")


def test_a_time_of_ticks_is_cut_to_the_millisecond_for_the_eye_and_kept_as_a_number() -> None:
    assert clock(T + 15_508_999_999) == "2022-01-01T01:20:15.508"
    assert clock(T) == "2022-01-01T01:20"
    (event,) = events(msgspec.structs.replace(FILL, ts_ns=T + 1))
    assert (event["time"], event["ts_ns"]) == ("2022-01-01T01:20", T + 1)
