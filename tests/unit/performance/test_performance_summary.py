"""The summary: which basis its headline has, that it agrees with its sources, and that JSON can hold it."""

import math
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from njord.core.errors import InvariantError
from njord.core.types import Side
from njord.core.units import NS_PER_DAY
from njord.performance.streaming import EquityStatistics
from njord.performance.summary import Summary, summarize, to_json_values
from njord.performance.trades import RoundTripBook, TradeFill

HALF_DAY = NS_PER_DAY // 2
EQUITY = [101.0, 99.0, 103.0, 102.0, 98.0, 104.0, 105.0, 103.0, 107.0, 110.0]


def summary_of(
    equity: list[float], final: str | None = None, capital: str = "100", interval_ns: int = HALF_DAY
) -> Summary:
    statistics = EquityStatistics(capital=100.0, interval_ns=HALF_DAY)
    statistics.update(np.arange(1, len(equity) + 1, dtype=np.int64) * HALF_DAY, np.array(equity))
    book = RoundTripBook()
    book.apply(TradeFill(1, 0, Side.BUY, Decimal(10), Decimal(1), Decimal("0.5")))
    trips = book.apply(TradeFill(2, 0, Side.SELL, Decimal(21), Decimal(1), Decimal("0.5")))
    return summarize(
        statistics,
        trips,
        capital=Decimal(capital),
        final_equity=Decimal(final or str(equity[-1] if equity else 100)),
        fees=Decimal("1.0"),
        n_fills=2,
        exposure=0.25,
        interval_ns=interval_ns,
    )


def test_five_days_are_enough_for_ratios_of_day_closes() -> None:
    summary = summary_of(EQUITY)
    assert (summary.n_bars, summary.n_days, summary.ratio_basis) == (10, 5, "daily")
    assert summary.daily.periods_per_year == 365
    assert (summary.volatility, summary.sharpe, summary.sortino) == (
        summary.daily.volatility,
        summary.daily.sharpe,
        summary.daily.sortino,
    )
    assert summary.bar.periods_per_year == 730
    assert summary.bar.sharpe != summary.daily.sharpe


def test_four_days_show_the_ratios_per_bar_and_say_so() -> None:
    summary = summary_of(EQUITY[:8])
    assert (summary.n_days, summary.ratio_basis) == (4, "bar")
    assert (summary.sharpe, summary.sortino) == (summary.bar.sharpe, summary.bar.sortino)


def test_totals_are_exact_and_trades_are_counted() -> None:
    summary = summary_of([*EQUITY[:-1], 110.00000001], final="110.00000001")
    assert summary.net_profit == Decimal("10.00000001")
    assert summary.total_return == 0.1000000001
    assert summary.calmar == pytest.approx(summary.cagr / summary.max_drawdown)
    assert (summary.trades.n_trades, summary.trades.net_pnl) == (1, Decimal(10))
    assert summary.trades.profit_factor == math.inf


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"final": "110.1"}, "final_equity"),
        ({"capital": "99"}, "capital"),
        ({"interval_ns": NS_PER_DAY}, "interval_ns"),
    ],
)
def test_totals_that_are_not_those_of_the_curve_break_an_invariant(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvariantError, match=f"{named} is"):
        summary_of(EQUITY, **wrong)


def test_a_run_without_bars_has_a_summary_without_figures() -> None:
    summary = summary_of([])
    assert (summary.n_bars, summary.n_days, summary.ratio_basis) == (0, 0, "bar")
    assert (summary.start_ns, summary.best_day, summary.drawdown, summary.monthly) == (None, None, None, ())
    assert summary.total_return == 0.0
    assert math.isnan(summary.sharpe)


def test_json_values_mark_what_is_undefined_and_what_is_infinite() -> None:
    assert to_json_values([math.nan, math.inf, -math.inf, 0.5, 3, None, "x"]) == [
        None,
        "inf",
        "-inf",
        0.5,
        3,
        None,
        "x",
    ]
    assert to_json_values(Decimal("1E+3")) == "1000"


def test_a_summary_survives_strict_json() -> None:
    values = to_json_values(summary_of(EQUITY))
    assert isinstance(values, dict)
    assert values["trades"]["profit_factor"] == "inf"
    assert values["trades"]["avg_loss"] is None
    assert values["trades"]["net_pnl"] == "10"
    assert values["monthly"] == [{"year": 1970, "month": 1, "value": pytest.approx(0.1)}]
    assert values["drawdown"]["recovery_ns"] == 6 * HALF_DAY
    assert msgspec.json.decode(msgspec.json.encode(values)) == values
    assert set(values) == set(Summary.__struct_fields__)
