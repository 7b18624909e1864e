"""Which figures of a point does the page of a sweep know, what are they called, and how are they written?"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import polars as pl

from njord.backtest.page_text import MINUS, Cell, amount, undefined
from njord.research.research_page_plot import decimals_of
from njord.research.sweep_result import OBJECTIVES

Kind = Literal["ratio", "percent", "money", "count"]


class Metric(msgspec.Struct, frozen=True):
    """One figure.

    Attributes:
        key: Its column.
        name: For the eye, within a sentence.
        better: 1 if more is better, -1 if less.
        middle: What is neither good nor bad, where colors turn; None if there is no such value.
        why: Why it may be undefined.
    """

    key: str
    name: str
    kind: Kind
    better: int
    middle: float | None
    why: str

    def say(self, value: float, step: float = 0.0, signed: bool = False) -> Cell:
        """Return a value as text; `step` is the distance to the next such value, 0 for one alone."""
        if not math.isfinite(value):
            return undefined(self.why)
        sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
        tone = ("gain" if value > 0 else "loss" if value < 0 else "") if signed else ""
        return Cell(sign + self._size(abs(value), step), tone)

    def _size(self, size: float, step: float) -> str:
        if self.kind == "percent":
            return f"{size:,.{_decimals(step * 100, 2)}%}"
        if self.kind == "count":
            return f"{size:,.0f}" if size == round(size) else f"{size:,.1f}"
        if self.kind == "money" and not step:
            return amount(size)
        return f"{size:,.{_decimals(step, 2)}f}"


def metric_of(key: str, capital: float = math.nan) -> Metric:
    """Return the figure of a column; `capital` is where money is neither good nor bad."""
    name, kind, middle, why = _KNOWN[key]
    if key == "final_equity":
        middle = None if math.isnan(capital) else capital
    return Metric(key, name, kind, OBJECTIVES.get(key, 1), middle, why)


def metrics_of(objective: str, capital: float) -> list[Metric]:
    """Return every figure that the map offers, the objective first."""
    keys = [objective, *(key for key in _OFFERED if key != objective)]
    return [metric_of(key, capital) for key in keys]


def defined(metric: Metric) -> pl.Expr:
    """Return the figure's column, null where a point failed or has no finite value."""
    column = pl.col(metric.key)
    is_defined = (pl.col("error") == "") & column.is_not_null() & column.cast(pl.Float64).is_finite()
    return pl.when(is_defined).then(column.cast(pl.Float64))


def capital_of(scores: Sequence[tuple[float, float]]) -> float:
    """Return the capital from (final equity, total return) of the first point that has both; NaN if none has."""
    return next(
        (equity / (1 + gain) for equity, gain in scores if math.isfinite(equity + gain) and gain > -1),
        math.nan,
    )


_OFFERED = (
    "sharpe", "total_return", "max_drawdown", "sortino", "calmar", "profit_factor", "win_rate", "n_trips",
)  # fmt: skip
_FEW = "Fewer than two returns, or returns that do not deviate."
_KNOWN: dict[str, tuple[str, Kind, float | None, str]] = {
    "sharpe": ("Sharpe", "ratio", 0.0, _FEW),
    "sortino": ("Sortino", "ratio", 0.0, "Fewer than two returns, or none below zero."),
    "calmar": ("Calmar", "ratio", 0.0, "There was no drawdown, or the growth per year is undefined."),
    "total_return": ("return", "percent", 0.0, "The point failed."),
    "cagr": ("growth per year", "percent", 0.0, "Equity ended below zero, or the span is too short."),
    "final_equity": ("final equity", "money", None, "The point failed."),
    "win_rate": ("win rate", "percent", None, "No round trip was closed."),
    "profit_factor": ("profit factor", "ratio", 1.0, "No round trip was closed with a loss."),
    "max_drawdown": ("max drawdown", "percent", None, "The point failed."),
    "volatility": ("volatility", "percent", None, _FEW),
    "n_trips": ("round trips", "count", None, "The point failed."),
}


def _decimals(step: float, alone: int) -> int:
    return decimals_of(step) if step else alone
