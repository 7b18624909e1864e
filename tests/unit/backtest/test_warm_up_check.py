"""Does the declared warm-up suffice? What depends on more history is found, what does not passes."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from njord.backtest.agreement import first_disagreement
from njord.backtest.listening import Heard
from njord.backtest.warm_up_check import StrategyWarmUp, check_warm_up
from njord.core.contracts import AmendIntent, CancelIntent, OrderIntent, Proposal, Target, TimerSet
from njord.core.types import OrderType, Side
from tests.unit.backtest.poison_run import HEADER, run

pytestmark = pytest.mark.integration  # Together they take a second.

EXPONENTIAL = """
    class Params(StrategyParams, frozen=True):
        bars: int = 3

    def warm_up(self):
        return self.params.bars

    def on_bar(self, ctx, bar):
        old = getattr(self, "average", bar.close)
        self.average = old + (bar.close - old) / 10
        wants = bar.close > self.average
        if wants is bool(ctx.qty):
            return None
        return Target(weight=0.5 if wants else 0.0, features=(("average", self.average),))
"""
PARTIAL_MEAN = """
    def on_bar(self, ctx, bar):
        self.closes = [*getattr(self, "closes", []), bar.close][-40:]
        wants = bar.close > sum(self.closes) / len(self.closes)
        return Target(weight=0.5 if wants else 0.0)
"""
COUNTS_FROM_THE_START = """
    def warm_up(self):
        return 7

    def on_bar(self, ctx, bar):
        return OrderIntent(side=Side.BUY, qty_lots=1, limit_price_ticks=1, type=OrderType.LIMIT) if ctx.n_bars % 10 == 0 else None
"""
FEATURE = """
    def warm_up(self):
        return 5

    def precompute(self, bars):
        return {"gone": bars.close_price - bars.close_price[0]}

    def on_bar(self, ctx, bar):
        return Target(weight=0.5 if ctx.feature("gone") > 0 else 0.0)
"""
ONLY_WHEN_WARM = """
    def warm_up(self):
        return 20

    def on_bar(self, ctx, bar):
        if not ctx.is_warm:
            return None
        highest = max(past.high for past in ctx.history(20)[:-1])
        return Target(weight=0.5 if bar.close > highest else 0.0)
"""
COUNTS_SINCE_WARM = """
    def warm_up(self):
        return 20

    def on_bar(self, ctx, bar):
        if not ctx.is_warm:
            return None
        self.n = getattr(self, "n", 0) + 1
        return Target(weight=0.5 if self.n % 7 < 3 else 0.0)
"""
SILENT = """
    def on_bar(self, ctx, bar):
        return None
"""


def verdict_of(
    folder: Path, strategy: str, *params: str, n_bars: int = 700, share: float = 10.0
) -> StrategyWarmUp:
    """Return the one strategy's verdict; the share is no limit unless given."""
    text = HEADER + strategy if "\n" in strategy else strategy
    with run(folder, text, params, n_bars=n_bars) as which:
        assert not which.error
        verdict = check_warm_up(which.prepared, which.prepared.market, share)
    assert verdict.passed is not bool(verdict.strategies[0].difference)
    return verdict.strategies[0]


@pytest.mark.parametrize(
    ("strategy", "params", "history", "n_decisions"),
    [
        ("sma_cross", ("fast=3", "slow=8"), (8, 16, 40), 30),
        (EXPONENTIAL, ("bars=120",), (120, 240, 600), 10),
        (ONLY_WHEN_WARM, (), (20, 40, 100), 400),
        (COUNTS_SINCE_WARM, (), (20, 40, 100), 400),
    ],
)
def test_who_declares_enough_passes(
    strategy: str, params: tuple[str, ...], history: tuple[int, ...], n_decisions: int, tmp_path: Path
) -> None:
    verdict = verdict_of(tmp_path, strategy, *params)
    assert (verdict.difference, verdict.skipped) == ("", "")
    assert verdict.history_bars == history and verdict.n_compared >= n_decisions


@pytest.mark.parametrize(
    ("strategy", "numbers"),
    [
        (EXPONENTIAL, ("Target(weight=", "on average 19", "with 3 bars of history before 2024-01-01T00:15")),
        (PARTIAL_MEAN, ("Target(weight=", "with 1 bars of history before 2024-01-01T04:10, and ", "with 50")),
        (
            COUNTS_FROM_THE_START,
            ("it wants nothing with 7 bars of history before", "OrderIntent(side=buy", " with 14"),
        ),
        (FEATURE, ("Target(weight=", "with 5 bars of history")),
    ],
)
def test_who_needs_more_is_found_with_the_numbers(
    strategy: str, numbers: tuple[str, ...], tmp_path: Path
) -> None:
    verdict = verdict_of(tmp_path, strategy)
    assert verdict.difference.startswith("at 2024-01-01T0") and not verdict.skipped
    for text in numbers:
        assert text in verdict.difference


def test_who_says_nothing_was_not_compared(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, SILENT)
    assert (verdict.n_compared, verdict.difference, verdict.skipped) == (0, "", "")
    assert verdict.history_bars == (1, 50, 250)


@pytest.mark.parametrize(
    ("n_bars", "share", "history"),
    [
        (1_040, 10.0, (30, 60, 150)),
        (250, 10.0, (30, 60, 150)),
        (249, 10.0, (30, 60)),
        (159, 10.0, ()),
        (900, 0.25, ()),
    ],
)
def test_it_tries_as_many_bars_as_there_are_and_may_be_replayed(
    n_bars: int, share: float, history: tuple[int, ...], tmp_path: Path
) -> None:
    verdict = verdict_of(tmp_path, "sma_cross", n_bars=n_bars, share=share)
    assert verdict.history_bars == history
    if not history:
        assert verdict.skipped == (
            f"a run of {n_bars} events is too short to try its warm-up of 30 bars twice; more with: njord poison"
        )


# --- what counts as the same ---


def heard(*said: tuple[int, Proposal]) -> list[Heard]:
    return [Heard(ts_ns, "BTC/USDT", proposal) for ts_ns, proposal in said]


LONG, FLAT = Target(weight=1.0), Target(weight=0.0)
BUY = OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=100, limit_price_ticks=5)
CANCEL = CancelIntent(client_order_id="a")


def amend(**given: Any) -> AmendIntent:
    return AmendIntent(client_order_id="a", **given)


@pytest.mark.parametrize(
    ("first", "second", "n_same"),
    [
        (heard((1, LONG), (3, FLAT)), heard((1, LONG), (3, FLAT)), 2),
        (
            heard((1, LONG), (2, LONG), (3, FLAT)),
            heard((1, LONG), (3, FLAT)),
            3,
        ),  # Repeating is no change of mind.
        (heard((1, LONG), (3, FLAT), (5, LONG)), heard((3, FLAT), (5, LONG)), 2),  # It had not spoken yet.
        (heard((1, LONG)), heard(), 0),
        (heard((1, Target(weight=0.5))), heard((1, Target(weight=0.5 + 1e-9))), 1),
        (heard((1, Target(qty=Decimal(100)))), heard((1, Target(qty=Decimal(102)))), 1),
        (heard((1, BUY), (1, CANCEL)), heard((1, BUY), (1, CancelIntent(client_order_id="b"))), 2),
        (
            heard((1, BUY)),
            heard((1, OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=97, limit_price_ticks=5))),
            1,
        ),
        (heard((1, BUY), (1, TimerSet(key="k", due_ns=5))), heard((1, BUY)), 1),
        (heard((1, amend(qty_lots=5))), heard((1, amend(qty_lots=5))), 1),
    ],
)
def test_the_same_wish_said_otherwise_agrees(first: list[Heard], second: list[Heard], n_same: int) -> None:
    assert first_disagreement(first, second, 0) == (n_same, None)
    assert first_disagreement(second, first, 0)[1] is None


@pytest.mark.parametrize(
    ("first", "second", "ts_ns"),
    [
        (heard((1, LONG), (3, FLAT)), heard((1, LONG), (4, FLAT)), 3),
        (heard((1, LONG)), heard((1, FLAT)), 1),
        (heard((1, LONG)), heard((1, Target(qty=Decimal(1)))), 1),
        (heard((1, Target(weight=0.5))), heard((1, Target(weight=0.51))), 1),
        (heard((1, Target(qty=Decimal(100)))), heard((1, Target(qty=Decimal(-100)))), 1),
        (heard((1, BUY), (2, BUY)), heard((1, BUY)), 2),
        (
            heard((1, BUY)),
            heard((1, OrderIntent(side=Side.SELL, type=OrderType.LIMIT, qty_lots=100, limit_price_ticks=5))),
            1,
        ),
        (
            heard((1, BUY)),
            heard((1, OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=100, limit_price_ticks=6))),
            1,
        ),
        (
            heard((1, BUY)),
            heard((1, OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=10, limit_price_ticks=5))),
            1,
        ),
        (heard((1, BUY)), heard((1, CANCEL)), 1),
        (heard((1, amend(limit_price_ticks=5))), heard((1, amend(limit_price_ticks=6))), 1),
    ],
)
def test_another_wish_does_not(first: list[Heard], second: list[Heard], ts_ns: int) -> None:
    for one, two in ((first, second), (second, first)):
        found = first_disagreement(one, two, 0)[1]
        assert found is not None and found.ts_ns == ts_ns
