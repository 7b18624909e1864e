"""Summary: everything a report says about how it went, in one struct.

The streaming statistics of the equity curve, the closed round trips and the run's exact totals come in; one immutable
`Summary` goes out. No figure is computed here that another module of this folder owns.
"""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from njord.core.errors import InvariantError
from njord.core.units import EXACT, plain, ratio
from njord.performance.drawdown import Drawdown
from njord.performance.ratios import Ratios
from njord.performance.returns import MonthReturn, YearReturn
from njord.performance.streaming import DayReturn, EquityStatistics
from njord.performance.trades import RoundTrip, TradeStatistics, trade_statistics

# Ratios per bar flatter or punish by the autocorrelation within a day; day closes are what the field compares. Fewer
# day closes than this say nothing at all, so a short run shows the ratios per bar and says so.
MIN_DAILY_RETURNS = 5


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How a run went. Ratios are fractions, times UTC epoch ns; a float that is not defined is NaN.

    Attributes:
        start_ns: Opening of the first bar; None without any.
        end_ns: Close of the last bar; None without any.
        interval_ns: Bar interval.
        n_bars: Points of the equity curve.
        n_days: UTC days from the first point to the last, both counted.
        capital: Equity at the start, in the report asset.
        final_equity: Equity at the end, open positions at market, in the report asset.
        net_profit: final_equity - capital, exact.
        fees: Paid in total, in the report asset.
        n_fills: Fills in total.
        exposure: Share of the time with an open position, a fraction.
        total_return: net_profit / capital.
        cagr: Compound annual growth rate over a year of 365 days; of little meaning for a run of days.
        ratio_basis: Which returns the next three come from: "daily" UTC closes if there are at least 5, else "bar".
        volatility: Annualized, of that basis.
        sharpe: Annualized, of that basis, over a risk-free rate of 0.
        sortino: Annualized, of that basis, over a target of 0.
        calmar: cagr / max_drawdown; NaN without drawdown.
        daily: The ratios of UTC day closes.
        bar: The ratios of bar closes.
        max_drawdown: Deepest fall from a peak at bar closes, a fraction >= 0.
        drawdown: That fall with its times; None if equity never fell.
        longest_under_water_ns: Longest time until an old peak was regained, or until the end.
        best_day: None without any bar.
        worst_day: None without any bar.
        monthly: The return of each UTC month.
        yearly: The return of each UTC year.
        trades: The statistics of the closed round trips.
        ruined_ns: When equity first closed at zero or below; None if never. Returns end there.
    """

    start_ns: int | None
    end_ns: int | None
    interval_ns: int
    n_bars: int
    n_days: int
    capital: Decimal
    final_equity: Decimal
    net_profit: Decimal
    fees: Decimal
    n_fills: int
    exposure: float
    total_return: float
    cagr: float
    ratio_basis: Literal["daily", "bar"]
    volatility: float
    sharpe: float
    sortino: float
    calmar: float
    daily: Ratios
    bar: Ratios
    max_drawdown: float
    drawdown: Drawdown | None
    longest_under_water_ns: int
    best_day: DayReturn | None
    worst_day: DayReturn | None
    monthly: tuple[MonthReturn, ...]
    yearly: tuple[YearReturn, ...]
    trades: TradeStatistics
    ruined_ns: int | None


def summarize(
    statistics: EquityStatistics,
    trips: Iterable[RoundTrip],
    *,
    capital: Decimal,
    final_equity: Decimal,
    fees: Decimal,
    n_fills: int,
    exposure: float,
    interval_ns: int,
) -> Summary:
    """Return the summary of a run.

    Args:
        statistics: Fed with the whole equity curve.
        trips: The closed round trips.
        capital: Exact equity at the start, > 0.
        final_equity: Exact equity at the end, that of the curve's last point.
        fees: Exact fees of all fills.
        n_fills: Number of fills.
        exposure: Share of the time with an open position, 0 to 1.
        interval_ns: Bar interval.

    Raises:
        InvariantError: The exact totals or the interval are not those of the curve.
    """
    _agree("capital", float(capital), statistics.capital)
    _agree("final_equity", float(final_equity), statistics.final_equity)
    if interval_ns != statistics.interval_ns:
        raise InvariantError(
            f"interval_ns is {interval_ns}, but the equity curve has {statistics.interval_ns}"
        )
    daily, bar = statistics.daily, statistics.bar
    basis: Literal["daily", "bar"] = "daily" if daily.n_periods >= MIN_DAILY_RETURNS else "bar"
    headline = daily if basis == "daily" else bar
    net_profit = EXACT.subtract(final_equity, capital)
    return Summary(
        start_ns=statistics.start_ns,
        end_ns=statistics.end_ns,
        interval_ns=interval_ns,
        n_bars=statistics.n_points,
        n_days=len(statistics.daily_closes().day),
        capital=capital,
        final_equity=final_equity,
        net_profit=net_profit,
        fees=fees,
        n_fills=n_fills,
        exposure=exposure,
        total_return=float(ratio(net_profit, capital)),
        cagr=statistics.cagr,
        ratio_basis=basis,
        volatility=headline.volatility,
        sharpe=headline.sharpe,
        sortino=headline.sortino,
        calmar=statistics.calmar,
        daily=daily,
        bar=bar,
        max_drawdown=statistics.max_drawdown,
        drawdown=statistics.deepest_drawdown,
        longest_under_water_ns=statistics.longest_under_water_ns,
        best_day=statistics.best_day,
        worst_day=statistics.worst_day,
        monthly=statistics.monthly_returns(),
        yearly=statistics.yearly_returns(),
        trades=trade_statistics(trips),
        ruined_ns=statistics.ruined_ns,
    )


def _agree(name: str, given: float, curve: float) -> None:
    # The curve is made of floats: the nearest one to an exact amount is right to 1e-16, sums of them to a little less.
    if not math.isclose(given, curve, rel_tol=1e-9, abs_tol=1e-9):
        raise InvariantError(f"{name} is {given}, but the equity curve says {curve}")


def to_json_values(value: object) -> object:
    """Return structs as dicts and sequences as lists, of nothing but what strict JSON knows.

    A NaN becomes None, an infinity the text "inf" or "-inf" (JSON has neither, and a profit factor without a loss
    must not look undefined), a Decimal its plain text without exponent. Everything else is returned as it is.
    """
    if isinstance(value, msgspec.Struct):
        return {name: to_json_values(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [to_json_values(item) for item in value]
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
