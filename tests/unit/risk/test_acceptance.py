"""The acceptance tests T6, T11 and T14, with the limits that the shipped profiles set."""

from njord.core.config import Config
from njord.core.types import RefusalReason
from tests.unit.risk.risk_bench import DAY, Bench, S

R = RefusalReason
PROFILES = Config().risk.profiles


def shipped(profile: str, ticks: int = 20) -> Bench:
    """A bench under a shipped profile, with capital of 10,000 and a price."""
    bench = Bench(PROFILES[profile].rules, capital=10_000)
    bench.bar(ticks)
    return bench


def test_t6_an_intent_sent_twice_is_one_order_and_one_denial_across_midnight_too() -> None:
    bench = shipped("paper")
    assert bench.ask(intent_id="a-1").allowed
    assert bench.ask(intent_id="a-1").reason is R.INTENT_DUPLICATE
    bench.now_ns += DAY
    bench.bar(20)
    assert bench.ask(intent_id="a-1").reason is R.INTENT_DUPLICATE


def test_t11_an_order_above_the_notional_cap_is_denied() -> None:
    bench = shipped("paper")
    assert bench.ask(qty_lots=250).allowed
    assert bench.ask(qty_lots=251).reason is R.NOTIONAL_EXCEEDS_CAP


def test_t11_the_31st_order_in_a_minute_is_denied() -> None:
    bench = shipped("paper")
    for _ in range(30):
        bench.trade(20)
    refused = bench.ask()
    assert (refused.reason, refused.rule) == (R.ORDER_RATE_EXCEEDED, "order_rate")


def test_t11_a_days_loss_at_the_cap_denies_what_adds_risk() -> None:
    bench = shipped("paper", ticks=200)
    for _ in range(16):
        bench.trade(200, qty_lots=25)  # Forty units at 100 in all.
    bench.now_ns += S
    bench.bar(186)
    assert bench.ask().allowed  # 280 lost.
    bench.bar(185)
    refused = bench.ask()
    assert (refused.reason, refused.rule) == (R.DAILY_LOSS_EXCEEDED, "daily_loss")
    assert refused.evidence == (("day_pnl", "-300"), ("cap", "300"))


def test_t14_the_live_cap_is_measured_at_the_markets_price_not_at_the_orders_limit() -> None:
    rules = {**PROFILES["live"].rules, "price_collar": {"max_distance_fraction": "0.5"}}
    bench = Bench(rules, capital=10_000)
    bench.bar(25)
    refused = bench.ask(qty_lots=10, limit_price_ticks=22)  # One unit, market 12.5, limit 11.
    assert refused.reason is R.NOTIONAL_EXCEEDS_CAP
    assert refused.evidence == (("notional", "12.5"), ("cap", "10"))
    assert bench.ask(qty_lots=8, limit_price_ticks=22).allowed


def test_t14_without_a_known_price_every_live_order_is_denied() -> None:
    bench = Bench(PROFILES["live"].rules, capital=10_000)
    assert bench.ask().reason is R.PRICE_UNKNOWN
    assert bench.ask(limit_price_ticks=20).reason is R.PRICE_UNKNOWN
