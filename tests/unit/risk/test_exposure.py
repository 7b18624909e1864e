"""What the gate knows: the day and its beginning, losses net of fees, pace, and which intents were decided."""

from decimal import Decimal

import pytest

from njord.core.types import Side
from njord.risk.decided import DecidedIds
from tests.unit.risk.risk_bench import DAY, MIDNIGHT, MINUTE, Bench, S


def at(ts_ns: int, ticks: int = 20) -> Bench:
    bench = Bench(now_ns=ts_ns)
    bench.exposure.follows_losses = True  # As a rule that asks for them makes the gate do.
    bench.bar(ticks)
    return bench


# --- the day ------------------------------------------------------------------------------------------------------


def test_a_day_begins_with_the_equity_at_the_last_price_before_it() -> None:
    bench = at(MIDNIGHT - 2 * MINUTE)
    bench.trade(20, qty_lots=100)
    bench.now_ns = MIDNIGHT - MINUTE
    bench.bar(22)
    bench.now_ns = MIDNIGHT + MINUTE
    bench.bar(18)
    assert bench.exposure.day_start_equity == 1_010
    assert bench.exposure.day_pnl() == -20


def test_a_bar_that_closes_at_midnight_is_the_last_of_its_day() -> None:
    bench = at(MIDNIGHT - MINUTE)
    bench.trade(20, qty_lots=100)
    bench.now_ns = MIDNIGHT
    bench.bar(22)
    assert bench.exposure.day_pnl() == 10
    bench.now_ns = MIDNIGHT + 1
    bench.bar(22)
    assert bench.exposure.day_pnl() == 0


def test_what_a_fill_costs_before_the_first_price_of_a_day_belongs_to_that_day() -> None:
    bench = at(MIDNIGHT)
    order = bench.order(qty_lots=100)
    bench.now_ns = MIDNIGHT + MINUTE
    bench.fill(order, 22, fee="3")
    bench.bar(22)
    assert bench.exposure.day_start_equity == 1_000
    assert bench.exposure.day_pnl() == -3


def test_a_fill_known_at_midnight_belongs_to_the_day_that_ends() -> None:
    bench = at(MIDNIGHT - MINUTE)
    order = bench.order(qty_lots=100)
    bench.now_ns = MIDNIGHT
    bench.fill(order, 20, fee="3")
    bench.bar(20)
    assert bench.exposure.day_pnl() == -3
    bench.now_ns = MIDNIGHT + MINUTE
    bench.bar(20)
    assert bench.exposure.day_start_equity == 997


def test_a_new_day_begins_with_an_intent_too_before_any_price_of_it() -> None:
    rules = {"daily_loss": {"cap_notional": 50}, "market_price": {"max_age_intervals": 9_999}}
    bench = Bench(rules, now_ns=MIDNIGHT)
    bench.bar(20)
    bench.trade(20, qty_lots=200)
    bench.bar(14)
    assert not bench.ask().allowed
    assert not bench.ask(ts_ns=MIDNIGHT).allowed
    bench.now_ns = MIDNIGHT + 1
    assert bench.ask().allowed


def test_after_a_gap_of_days_the_whole_move_counts_to_the_day_that_shows_it() -> None:
    bench = at(MIDNIGHT - MINUTE)
    bench.trade(20, qty_lots=100)
    bench.now_ns = MIDNIGHT + 5 * DAY + MINUTE
    bench.bar(10)
    assert bench.exposure.day_pnl() == -50
    bench.now_ns += DAY
    bench.bar(10)
    assert bench.exposure.day_pnl() == 0


def test_a_day_that_begins_without_a_price_has_no_known_result() -> None:
    bench = at(MIDNIGHT - MINUTE)
    bench.trade(20, qty_lots=100)
    bench.bar(0)
    bench.now_ns = MIDNIGHT + MINUTE
    bench.bar(20)
    assert bench.exposure.day_start_equity is None
    assert bench.exposure.day_pnl() is None


# --- losses -------------------------------------------------------------------------------------------------------


def lost(bench: Bench) -> bool:
    return bool(bench.exposure.last_loss_ns)


@pytest.mark.parametrize(
    ("exit_ticks", "is_loss"), [(19, True), (20, True), (23, True), (24, False), (25, False)]
)
def test_a_close_is_a_loss_if_it_does_not_earn_the_fees_of_both_ways(exit_ticks: int, is_loss: bool) -> None:
    bench = at(MIDNIGHT)
    bench.trade(20, fee="1", qty_lots=10)  # One unit; a tick is half a quote unit.
    bench.trade(exit_ticks, fee="1", side=Side.SELL, qty_lots=10)
    assert lost(bench) is is_loss


def test_losses_are_followed_where_a_rule_asks_for_them_only() -> None:
    assert not Bench({"cool_down": {"seconds": 0}}).exposure.follows_losses
    assert Bench({"cool_down": {"seconds": 1}}).exposure.follows_losses


def test_a_partial_close_carries_its_share_of_the_entry_fee() -> None:
    bench = at(MIDNIGHT)
    bench.trade(20, fee="4", qty_lots=40)
    bench.trade(22, side=Side.SELL, qty_lots=10)  # Earns 1, its share of the fee is 1.
    assert not lost(bench)
    bench.trade(22, fee="0.01", side=Side.SELL, qty_lots=10)
    assert lost(bench)


def test_a_short_that_is_bought_back_dearer_is_a_loss_and_cheaper_is_not() -> None:
    for ticks, is_loss in ((21, True), (19, False)):
        bench = at(MIDNIGHT)
        bench.bar(20, index=1)
        bench.trade(20, instrument=1, side=Side.SELL, qty_lots=10)
        bench.trade(ticks, instrument=1, qty_lots=10)
        assert lost(bench) is is_loss


def test_of_a_flip_the_fee_is_split_between_what_it_closes_and_what_it_opens() -> None:
    bench = at(MIDNIGHT)
    bench.bar(20, index=1)
    bench.trade(20, instrument=1, qty_lots=10)
    bench.trade(21, fee="10", instrument=1, side=Side.SELL, qty_lots=20)  # Earns 5; half of the fee is 5.
    assert not lost(bench)
    bench.trade(20, instrument=1, qty_lots=10)  # Earns 5; the other half of the fee is 5.
    assert not lost(bench)
    worse = at(MIDNIGHT)
    worse.bar(20, index=1)
    worse.trade(20, instrument=1, qty_lots=10)
    worse.trade(21, fee="10.02", instrument=1, side=Side.SELL, qty_lots=20)
    assert lost(worse)


def test_adding_to_a_position_is_never_a_loss_even_when_its_fee_is_paid_in_kind() -> None:
    bench = at(MIDNIGHT)
    bench.trade(30, qty_lots=10)
    order = bench.order(qty_lots=10)
    bench.fill(order, 10, fee="0.1", asset="AAA")
    assert not lost(bench)


def test_a_fee_that_nothing_can_price_is_left_out() -> None:
    bench = at(MIDNIGHT)
    order = bench.order(qty_lots=10)
    bench.fill(order, 20, fee="7", asset="BNB")
    bench.end(order)
    way_out = bench.order(side=Side.SELL, qty_lots=10)
    bench.fill(way_out, 20)
    assert not lost(bench)


# --- pace and memory ----------------------------------------------------------------------------------------------


def test_the_rate_counts_half_open_minutes_for_all_and_for_each() -> None:
    bench = at(MIDNIGHT)
    exposure = bench.exposure
    for owner in "aab":
        bench.order(strategy_id=owner)
        bench.now_ns += S
    now_ns = MIDNIGHT + MINUTE
    assert exposure.pace.in_last_minute(now_ns - 1) == 3
    assert exposure.pace.in_last_minute(now_ns) == 2
    assert exposure.pace.in_last_minute(now_ns, "a") == 1
    assert exposure.pace.in_last_minute(now_ns + S, "a") == 0
    assert exposure.pace.in_last_minute(now_ns + S, "b") == 1


def test_approvals_are_forgotten_though_no_rule_ever_asks_for_the_rate() -> None:
    bench = at(MIDNIGHT)
    for _ in range(500):
        bench.now_ns += S
        bench.bar(20)
        order = bench.order()
        bench.end(order)
    assert len(bench.exposure.pace._approved_ns) == 60
    assert bench.exposure.pace.in_last_minute(bench.now_ns) == 60


def test_a_million_counted_ids_are_one_range() -> None:
    ids = DecidedIds()
    for number in range(1, 100_001):
        ids.add(f"trend-{number}")
    assert ids.n_kept == 1
    assert "trend-100000" in ids
    assert "trend-100001" not in ids
    assert "trend-0" not in ids
    assert "other-5" not in ids


def test_ids_out_of_order_are_remembered_exactly_and_join_when_the_holes_close() -> None:
    ids = DecidedIds()
    for number in (5, 1, 3, 9, 3):
        ids.add(f"a-{number}")
    assert [n for n in range(12) if f"a-{n}" in ids] == [1, 3, 5, 9]
    for number in (4, 2, 8, 7, 6):
        ids.add(f"a-{number}")
    assert [n for n in range(12) if f"a-{n}" in ids] == list(range(1, 10))
    assert ids.n_kept == 1


def test_ids_of_any_form_are_told_apart() -> None:
    forms = ["a-7", "a-07", "a-7.1", "a-", "-7", "7", "a-b-7", "a-\u0667", f"a-{10**30}", ""]
    ids = DecidedIds()
    for number, form in enumerate(forms):
        assert form not in ids, forms[:number]
        ids.add(form)
        assert form in ids


def test_exact_amounts_stay_exact_through_many_partial_closes() -> None:
    bench = at(MIDNIGHT)
    bench.trade(20, fee="1", qty_lots=30)
    for _ in range(29):
        bench.trade(21, fee="0.01", side=Side.SELL, qty_lots=1)
    assert not lost(bench)
    bench.trade(21, fee="0.01", side=Side.SELL, qty_lots=1)
    assert not lost(bench)
    assert bench.exposure.equity() == Decimal("1000.2")


def test_ids_of_several_owners_in_turn_are_known_once_added() -> None:
    ids = DecidedIds()
    told = [f"{owner}-{number}" for number in range(1, 8) for owner in ("a", "b")]
    for each in told:
        assert each not in ids
        ids.add(each)
        assert each in ids
    assert ids.n_kept == 2


def test_the_id_behind_a_gap_that_was_closed_is_new_until_it_comes() -> None:
    ids = DecidedIds()
    for each in ("a-1", "a-3", "a-2"):
        ids.add(each)
    assert "a-4" not in ids
    ids.add("a-4")
    assert all(f"a-{number}" in ids for number in (1, 2, 3, 4))
    assert ids.n_kept == 1


def test_numbers_of_too_many_digits_are_kept_whole() -> None:
    ids = DecidedIds()
    for each in (f"a-{10**18 - 1}", f"a-{10**18}"):
        ids.add(each)
        assert each in ids
    assert f"a-{10**18 + 1}" not in ids
