"""The recorder follows every order to its end, and the table of orders says how it got there."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from njord.backtest.orders_table import meaning, order_rows, write_orders
from njord.backtest.recorder import Recorder
from njord.backtest.samples import positions_at
from njord.core.contracts import VENUE, AmendEvent, FillEvent, FundingEvent, Message, OrderEvent, OrderUpdate
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce

BTC = Instrument(
    symbol="BTC/USDT",
    venue="v",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)
WHO: dict[str, Any] = {"instrument": 0, "account_id": "main", "strategy_id": "s"}


def follow(*messages: Message) -> Recorder:
    recorder = Recorder([BTC])
    for message in messages:
        recorder.observers[type(message)](message)
    return recorder


def order(name: str = "o1", ts_ns: int = 10, **changes: Any) -> OrderEvent:
    given: dict[str, Any] = {
        "side": Side.BUY, "type": OrderType.LIMIT, "tif": TimeInForce.GTC, "qty_lots": 5, "limit_price_ticks": 1000,
        "reduce_only": False, **changes,
    }  # fmt: skip
    return OrderEvent(
        ts_ns=ts_ns,
        **WHO,
        intent_id=name,
        client_order_id=name,
        decision_seq=1,
        limits_version=1,
        expires_ns=99,
        **given,
    )


def update(
    status: OrderStatus, ts_ns: int, reason: OrderReason = OrderReason.NONE, name: str = "o1", **changes: Any
) -> OrderUpdate:
    return OrderUpdate(
        ts_ns=ts_ns,
        **WHO,
        intent_id=name,
        client_order_id=name,
        status=status,
        reason=reason,
        ts_venue_ns=ts_ns,
        **changes,
    )


def fill(lots: int, ticks: int, ts_ns: int, name: str = "o1", **changes: Any) -> FillEvent:
    given: dict[str, Any] = {
        "fee": Decimal("0.01"),
        "fee_asset": "USDT",
        "is_maker": True,
        "side": Side.BUY,
        **changes,
    }
    return FillEvent(
        ts_ns=ts_ns, **{**WHO, "strategy_id": given.pop("strategy_id", "s")}, intent_id=name, client_order_id=name,
        qty_lots=lots, price_ticks=ticks, venue_trade_id="t", ts_venue_ns=ts_ns, **given,
    )  # fmt: skip


def test_an_order_is_followed_from_acceptance_through_its_amendment_and_fills_to_its_end() -> None:
    made = follow(
        order(post_only=True),
        update(OrderStatus.ACCEPTED, 11),
        AmendEvent(ts_ns=12, **WHO, intent_id="a", client_order_id="o1", qty_lots=4, decision_seq=2),
        update(OrderStatus.ACCEPTED, 13, OrderReason.AMENDED, qty_lots=4, limit_price_ticks=990),
        update(OrderStatus.ACCEPTED, 14, OrderReason.AMEND_REFUSED, qty_lots=4, limit_price_ticks=990),
        fill(1, 990, 15),
        update(OrderStatus.PARTIALLY_FILLED, 15),
        fill(3, 989, 16),
        update(OrderStatus.FILLED, 16),
    )
    (row,) = order_rows(made.orders, [BTC])
    assert row.flags == ["post_only", "amended:1x:0.004@99", "amend_refused:1x"]
    assert (row.qty, row.limit_price, row.filled, row.avg_price) == ("0.005", "100", "0.004", "98.925")
    assert (row.fees, row.liquidity, row.terminal, row.why) == (
        "0.02",
        "maker",
        "filled",
        "Executed in full.",
    )
    assert (row.ts_ns, row.accepted_ns, row.first_fill_ns, row.end_ns) == (10, 11, 15, 16)
    assert (made.n_amendments, dict(made.endings)) == (1, {"filled": 1})


def test_the_hash_keeps_an_order_as_it_was_sent() -> None:
    made = follow(
        order(),
        update(OrderStatus.ACCEPTED, 11),
        update(OrderStatus.ACCEPTED, 13, OrderReason.AMENDED, qty_lots=4, limit_price_ticks=990),
        update(OrderStatus.CANCELED, 14, OrderReason.CANCEL_REQUESTED),
    )
    assert list(made.order_lines()) == ["O|10|BTC/USDT|buy|limit|gtc|1000|5|canceled/CANCEL_REQUESTED\n"]


def test_a_liquidation_is_an_order_line_of_its_own_where_it_happened() -> None:
    made = follow(
        order("o1", 10),
        fill(5, 1000, 11),
        update(OrderStatus.FILLED, 11),
        order("o2", 12),
        update(OrderStatus.ACCEPTED, 12, name="o2"),
        update(OrderStatus.CANCELED, 20, OrderReason.LIQUIDATED, "o2"),
        fill(
            5, 400, 20, "LIQUIDATION-1", strategy_id=VENUE, side=Side.SELL, is_maker=False, fee=Decimal("0.5")
        ),
        order("o3", 30),
    )
    assert list(made.order_lines())[3:] == [
        "O|20|BTC/USDT|sell|market|ioc|0|5|liquidated\n",
        "F|20|3|400|5|0.5|USDT|0\n",
        "O|30|BTC/USDT|buy|limit|gtc|1000|5|\n",
    ]
    assert made.endings == {"filled": 1, "canceled/LIQUIDATED": 1, "liquidated": 1}
    rows = list(order_rows(made.orders, [BTC]))
    assert (rows[2].strategy_id, rows[2].why) == (VENUE, OrderReason.LIQUIDATED.meaning)
    assert (rows[3].terminal, rows[3].why, rows[3].end_ns) == ("", "Still working.", None)


def test_links_are_told_by_the_numbers_of_the_orders() -> None:
    made = follow(
        order("entry"),
        order("profit", group_id="g", after_client_order_id="entry", side=Side.SELL),
        order(
            "stop", group_id="g", after_client_order_id="entry", side=Side.SELL, type=OrderType.TRAILING_STOP,
            limit_price_ticks=0, trail_ticks=20, reduce_only=True,
        ),
        update(OrderStatus.ACCEPTED, 12, OrderReason.TRIGGERED, "stop"),
    )  # fmt: skip
    rows = list(order_rows(made.orders, [BTC]))
    assert rows[1].flags == ["oco:2", "after:1"]
    assert rows[2].flags == ["reduce_only", "oco:2", "after:1", "triggered"]
    assert (rows[2].trail, rows[2].limit_price, rows[2].trigger_price) == ("2", None, None)


def test_an_unknown_outcome_is_no_acceptance() -> None:
    made = follow(order(), update(OrderStatus.UNKNOWN, 11), update(OrderStatus.ACCEPTED, 12))
    assert made.orders[0].accepted_ns == 12


def test_funding_remembers_what_was_filled_before_it() -> None:
    funding = FundingEvent(
        ts_ns=20, instrument=0, account_id="main", rate=Decimal("0.0001"), mark_ticks=1000, amount=Decimal("-0.1"),
        asset="USDT", ts_venue_ns=20,
    )  # fmt: skip
    made = follow(order(), fill(1, 1000, 11), funding, fill(1, 1000, 21))
    assert [(each.n_fills, each.event.amount) for each in made.funding] == [(1, Decimal("-0.1"))]


@pytest.mark.parametrize(
    ("terminal", "words"),
    [
        ("filled", "Executed in full."),
        ("canceled/OCO_SIBLING", OrderReason.OCO_SIBLING.meaning),
        ("canceled", ""),
        ("canceled/<unheard of>", ""),
    ],
)
def test_an_ending_has_its_reason_in_words(terminal: str, words: str) -> None:
    assert meaning(terminal) == words


def test_all_orders_are_written_in_batches_with_the_details_of_a_rejection(tmp_path: Path) -> None:
    messages: list[Message] = []
    for number in range(20):
        name = f"o{number}"
        messages += [
            order(name),
            update(OrderStatus.REJECTED, 11, OrderReason.FILTER_QTY, name, detail="too small"),
        ]
    made = follow(*messages)
    write_orders(tmp_path / "orders.parquet", made.orders, [BTC], batch_rows=7)
    frame = pl.read_parquet(tmp_path / "orders.parquet")
    assert frame["order_no"].to_list() == list(range(1, 21))
    assert set(frame["terminal"]) == {"rejected/FILTER_QTY"}
    assert frame["why"][19] == "The venue refused the quantity. too small"
    assert (frame["limit_price"][0], frame["accepted_ns"].null_count()) == ("100", 20)


def test_a_run_without_orders_writes_an_empty_file(tmp_path: Path) -> None:
    write_orders(tmp_path / "orders.parquet", follow().orders, [BTC])
    assert pl.read_parquet(tmp_path / "orders.parquet").height == 0


def test_the_dust_that_a_fee_in_kind_leaves_is_no_position() -> None:
    def bought(lots: int, ts_ns: int, fee: str) -> list[Message]:
        return [order(f"b{ts_ns}"), fill(lots, 1000, ts_ns, f"b{ts_ns}", fee=Decimal(fee), fee_asset="BTC")]

    def sold(lots: int, ts_ns: int) -> list[Message]:
        return [order(f"s{ts_ns}"), fill(lots, 1000, ts_ns, f"s{ts_ns}", side=Side.SELL)]

    made = follow(*bought(5, 10, "0.0005"), *sold(4, 20), *bought(5, 30, "0.0015"), *sold(4, 40))
    assert made.held_ranges(0, 99) == [(10, 20), (30, 40)]
    assert positions_at(
        made.fills.steps(0, "BTC"), BTC, np.array([10, 20, 30, 40])
    ).tolist() == pytest.approx([0.0045, 0, 0.004, 0])
