"""How much may pass: the rules on size and money, at their edges, and the numbers they refuse with."""

from typing import Any

import pytest

from njord.core.types import OrderStatus, RefusalReason, Side
from tests.unit.risk.risk_bench import evidence, priced

R = RefusalReason
BUY, SELL = Side.BUY, Side.SELL


# --- size ---------------------------------------------------------------------------------------------------------


def test_an_order_above_the_notional_cap_is_refused_at_the_markets_price_not_its_own_limit() -> None:
    bench = priced({"max_order_notional": {"cap_notional": "12.4"}}, ticks=25)
    assert evidence(bench, qty_lots=10, limit_price_ticks=22) == {"notional": "12.5", "cap": "12.4"}
    assert bench.ask(qty_lots=9, limit_price_ticks=22).allowed


def test_an_order_at_the_notional_cap_passes_and_a_dearer_limit_counts() -> None:
    bench = priced({"max_order_notional": {"cap_notional": 10}})
    assert bench.ask(qty_lots=10).allowed
    assert bench.ask(qty_lots=10, limit_price_ticks=21).reason is R.NOTIONAL_EXCEEDS_CAP
    assert bench.ask(qty_lots=11).reason is R.NOTIONAL_EXCEEDS_CAP


def test_of_a_flip_only_what_lies_beyond_flat_counts_against_the_order_cap() -> None:
    bench = priced({"max_order_notional": {"cap_notional": 100}})
    bench.trade(20, instrument=1, qty_lots=10)
    assert evidence(bench, instrument=1, side=SELL, qty_lots=21) == {"notional": "110", "cap": "100"}
    assert bench.ask(instrument=1, side=SELL, qty_lots=20).allowed


def test_the_position_cap_counts_open_and_unknown_orders() -> None:
    bench = priced({"max_position": {"cap_notional": 20}})
    first = bench.order(qty_lots=10)
    assert evidence(bench, qty_lots=11) == {"position_notional": "21", "cap": "20"}
    bench.end(first, OrderStatus.UNKNOWN)
    assert bench.ask(qty_lots=11).reason is R.POSITION_EXCEEDS_CAP
    second = bench.order(qty_lots=10)
    bench.end(second, OrderStatus.CANCELED)
    assert bench.ask(qty_lots=10).allowed


def test_the_position_cap_counts_a_partly_filled_order_once() -> None:
    bench = priced({"max_position": {"cap_notional": 20}})
    order = bench.order(qty_lots=10)
    bench.fill(order, 20, lots=4)
    assert bench.ask(qty_lots=11).reason is R.POSITION_EXCEEDS_CAP
    assert bench.ask(qty_lots=10).allowed


def test_a_flip_may_reach_the_position_cap_on_the_other_side() -> None:
    bench = priced({"max_position": {"cap_notional": 100}})
    bench.trade(20, instrument=1, qty_lots=10)
    assert bench.ask(instrument=1, side=SELL, qty_lots=21).reason is R.POSITION_EXCEEDS_CAP
    assert bench.ask(instrument=1, side=SELL, qty_lots=20).allowed


def test_the_gross_cap_sums_all_instruments_long_and_short() -> None:
    bench = priced({"max_gross": {"cap_notional": 100}})
    bench.trade(20, instrument=1, side=SELL, qty_lots=6)
    assert evidence(bench, qty_lots=41) == {"gross_notional": "101", "cap": "100"}
    assert bench.ask(qty_lots=40).allowed
    assert bench.ask(instrument=1, side=SELL, qty_lots=1).reason is R.GROSS_EXCEEDS_CAP


def test_the_gross_cap_refuses_while_another_positions_price_is_unknown() -> None:
    bench = priced({"max_gross": {"cap_notional": 100}})
    bench.trade(20, instrument=1, qty_lots=1)
    bench.bar(0, index=1)
    refused = bench.ask()
    assert (refused.reason, refused.rule) == (R.PRICE_UNKNOWN, "max_gross")


SIZE_RULES = ["max_order_notional", "max_position", "max_gross", "daily_loss"]


@pytest.mark.parametrize("rule", SIZE_RULES)
def test_unknown_equity_refuses_what_grows_and_lets_pass_what_shrinks(rule: str) -> None:
    bench = priced({rule: {"cap_equity_fraction": 1}})
    order = bench.order(qty_lots=10)
    bench.fill(order, 20, fee="0.1", asset="BNB")  # An asset that nothing here can price.
    bench.end(order)
    assert bench.exposure.equity() is None
    refused = bench.ask()
    assert (refused.reason, refused.rule) == (R.PRICE_UNKNOWN, rule)
    assert bench.ask(side=SELL, qty_lots=10).allowed


@pytest.mark.parametrize("rule", ["max_order_notional", "max_position", "max_gross"])
def test_equity_below_zero_is_a_cap_of_zero(rule: str) -> None:
    bench = priced({rule: {"cap_equity_fraction": 5}})
    bench.trade(20, instrument=1, side=SELL, qty_lots=100)
    bench.bar(100, index=1)
    equity = bench.exposure.equity()
    assert equity is not None
    assert equity < 0
    refused = bench.ask()
    assert refused.rule == rule
    assert ("cap", "0") in refused.evidence
    assert bench.ask(instrument=1, qty_lots=100).allowed


# --- money --------------------------------------------------------------------------------------------------------


def test_a_purchase_may_cost_all_free_cash_and_not_a_unit_more() -> None:
    assert priced().ask(qty_lots=1_000).allowed
    bench = priced()
    assert evidence(bench, qty_lots=1_001) == {"notional": "1001", "needed": "1001", "equity": "1000"}


def test_fee_slippage_and_buffer_are_part_of_the_cost() -> None:
    assert priced(cost_bps="10").ask(qty_lots=1_000).reason is R.CASH_INSUFFICIENT
    assert priced(cost_bps="10").ask(qty_lots=999).allowed
    with_buffer = {"affordable": {"buffer_bps": 100}}
    assert priced(with_buffer).ask(qty_lots=991).reason is R.CASH_INSUFFICIENT
    assert priced(with_buffer).ask(qty_lots=990).allowed


def test_open_purchases_are_paid_for_at_their_limit_or_the_market_whichever_is_dearer() -> None:
    bench = priced()
    bench.order(qty_lots=500, limit_price_ticks=22)
    assert bench.ask(qty_lots=451).reason is R.CASH_INSUFFICIENT
    assert bench.ask(qty_lots=450).allowed
    rising = priced()
    rising.order(qty_lots=500, limit_price_ticks=18)
    rising.bar(30)
    assert rising.ask(qty_lots=167).reason is R.CASH_INSUFFICIENT
    assert rising.ask(qty_lots=166).allowed


def test_on_spot_nothing_is_sold_that_is_not_held_open_sales_counted() -> None:
    bench = priced()
    assert evidence(bench, side=SELL) == {"qty": "0.1", "held": "0", "in_open_orders": "0"}
    bench.trade(20, qty_lots=10)
    bench.order(side=SELL, qty_lots=7)
    assert bench.ask(side=SELL, qty_lots=4).reason is R.NAKED_SHORT
    assert bench.ask(side=SELL, qty_lots=3).allowed


def test_a_fee_in_base_leaves_less_to_sell() -> None:
    bench = priced()
    order = bench.order(qty_lots=10)
    bench.fill(order, 20, fee="0.001", asset="AAA")
    bench.end(order)
    assert bench.ask(side=SELL, qty_lots=10).reason is R.NAKED_SHORT
    assert bench.ask(side=SELL, qty_lots=9).allowed


@pytest.mark.parametrize(("way_in", "way_out"), [(BUY, SELL), (SELL, BUY)])
def test_a_fully_invested_contract_can_be_flipped(way_in: Side, way_out: Side) -> None:
    bench = priced()
    bench.trade(20, instrument=1, side=way_in, qty_lots=100)
    assert bench.ask(instrument=1, side=way_in).reason is R.CASH_INSUFFICIENT
    assert bench.ask(instrument=1, side=way_out, qty_lots=201).reason is R.CASH_INSUFFICIENT
    assert bench.ask(instrument=1, side=way_out, qty_lots=200).allowed


def test_an_open_order_that_closes_a_contract_reserves_nothing() -> None:
    bench = priced()
    bench.trade(20, instrument=1, qty_lots=50)
    bench.order(instrument=1, side=SELL, qty_lots=50, limit_price_ticks=25)
    assert bench.ask(qty_lots=500).allowed
    assert bench.ask(qty_lots=1).reason is R.CASH_INSUFFICIENT


def test_open_orders_of_another_instrument_are_paid_for_first() -> None:
    bench = priced()
    bench.order(instrument=1, side=SELL, qty_lots=60)
    assert bench.ask(qty_lots=401).reason is R.CASH_INSUFFICIENT
    assert bench.ask(qty_lots=400).allowed


def test_a_purchase_above_the_market_that_flips_a_short_pays_its_premium_on_all_of_it() -> None:
    bench = priced()
    bench.trade(20, instrument=1, side=SELL, qty_lots=50)
    # 120 at 11 for what is worth 10: 120 of premium leave 880, and 70 at 10 are backed; 140 at 11 leave 860 for 900.
    assert bench.ask(instrument=1, qty_lots=120, limit_price_ticks=22).allowed
    other = priced()
    other.trade(20, instrument=1, side=SELL, qty_lots=50)
    assert other.ask(instrument=1, qty_lots=140, limit_price_ticks=22).reason is R.CASH_INSUFFICIENT


def test_two_intents_in_one_breath_share_one_limit() -> None:
    cases: list[tuple[dict[str, Any], RefusalReason]] = [
        ({"max_position": {"cap_notional": 15}}, R.POSITION_EXCEEDS_CAP),
        ({"max_gross": {"cap_notional": 15}}, R.GROSS_EXCEEDS_CAP),
        ({"open_orders": {"cap": 1}}, R.OPEN_ORDERS_EXCEED_CAP),
        ({"order_rate": {"per_minute": 1}}, R.ORDER_RATE_EXCEEDED),
    ]
    for rules, reason in cases:
        bench = priced(rules)
        assert bench.ask(qty_lots=10, strategy_id="a").allowed
        assert bench.ask(qty_lots=10, strategy_id="b").reason is reason
    poor = priced(capital=15)
    assert poor.ask(qty_lots=10).allowed
    assert poor.ask(qty_lots=10).reason is R.CASH_INSUFFICIENT
