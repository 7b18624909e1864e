"""Ratios: what was earned per unit of risk, and per year?

Simple per-period returns (or their `ReturnMoments`, which can be merged chunk by chunk) come in; annualized floats go
out. Each formula stands here once: the batch functions and the streaming statistics both end in the same lines. A
ratio that is not defined is NaN, never 0 and never infinite.
"""

import math

import msgspec
import numpy as np

from njord.core.units import NS_PER_YEAR
from njord.performance.returns import FloatArray, finite_array

# A return taken from float64 equity is wrong by up to about 2 ulp of 1. A deviation below this is rounding noise of a
# constant series, and dividing by it would make a Sharpe ratio of 1e14 out of nothing.
NOISE = 4 * float(np.finfo(np.float64).eps)


class ReturnMoments(msgspec.Struct, frozen=True):
    """What the ratios need to know of a series of returns; mergeable, so no series has to be kept.

    Attributes:
        n: Number of periods.
        mean: Arithmetic mean, a fraction; 0 when n is 0.
        squares: Sum of squared deviations from the mean.
        downside: Sum of min(return, 0) squared.
        cubes: Sum of the third powers of the deviations from the mean.
        quartics: Sum of their fourth powers.
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    downside: float = 0.0
    cubes: float = 0.0
    quartics: float = 0.0

    def merge(self, other: "ReturnMoments") -> "ReturnMoments":
        """Return the moments of both series one after the other, without cancellation.

        Source: Chan, Golub and LeVeque (1979), "Updating Formulae and a Pairwise Algorithm for Computing Sample
        Variances", Stanford STAN-CS-79-773; third and fourth powers: Pebay (2008), "Formulas for Robust, One-Pass
        Parallel Computation of Covariances and Arbitrary-Order Statistical Moments", SAND2008-6212, eq. 2.1.
        """
        if not self.n or not other.n:
            return other if other.n else self
        n = self.n + other.n
        ours, theirs = self.n / n, other.n / n
        delta = other.mean - self.mean
        spread = delta * delta * (self.n * theirs)
        return ReturnMoments(
            n,
            self.mean + delta * theirs,
            self.squares + other.squares + spread,
            self.downside + other.downside,
            self.cubes
            + other.cubes
            + delta * (spread * (ours - theirs) + 3.0 * (ours * other.squares - theirs * self.squares)),
            self.quartics
            + other.quartics
            + delta * delta * spread * (ours * ours - ours * theirs + theirs * theirs)
            + 6.0 * delta * delta * (ours * ours * other.squares + theirs * theirs * self.squares)
            + 4.0 * delta * (ours * other.cubes - theirs * self.cubes),
        )

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per period, not annualized; NaN without deviation or for fewer than two periods."""
        return _divide(self.mean, self.deviation)

    @property
    def skew(self) -> float:
        """Third standardized moment of the population (0 for a normal); NaN without deviation."""
        return (
            _divide(self.cubes / self.n, (self.squares / self.n) ** 1.5) if self.deviation > 0 else math.nan
        )

    @property
    def kurtosis(self) -> float:
        """Fourth standardized moment of the population, not in excess (3 for a normal); NaN without deviation."""
        return (
            _divide(self.quartics / self.n, (self.squares / self.n) ** 2) if self.deviation > 0 else math.nan
        )

    @property
    def deviation(self) -> float:
        """Sample standard deviation (ddof=1) per period; 0 if only rounding noise, NaN for fewer than two periods."""
        if self.n < 2:
            return math.nan
        return self._without_noise(math.sqrt(self.squares / (self.n - 1)))

    @property
    def downside_deviation(self) -> float:
        """Root mean square of the returns below 0, over all periods; NaN for fewer than two periods."""
        if self.n < 2:
            return math.nan
        return self._without_noise(math.sqrt(self.downside / self.n))

    def _without_noise(self, deviation: float) -> float:
        return deviation if deviation > NOISE * max(1.0, abs(self.mean)) else 0.0


class Ratios(msgspec.Struct, frozen=True, kw_only=True):
    """The annualized ratios of one series of returns; each is NaN where it is not defined.

    Attributes:
        n_periods: Number of returns they are made of.
        periods_per_year: What they were annualized with.
        volatility: Annualized standard deviation, a fraction.
        sharpe: Annualized Sharpe ratio over a risk-free rate of 0.
        sortino: Annualized Sortino ratio over a target of 0.
        skew: Of the returns per period, not annualized; 0 for a normal distribution.
        kurtosis: Likewise, not in excess; 3 for a normal distribution.
    """

    n_periods: int
    periods_per_year: float
    volatility: float
    sharpe: float
    sortino: float
    skew: float
    kurtosis: float


def moments_of(returns: FloatArray) -> ReturnMoments:
    """Return the moments of simple per-period `returns`, shape (n_periods,), finite and not checked here.

    Sums are numpy's pairwise ones and not BLAS dot products, whose order of addition depends on the machine.
    """
    n = returns.size
    if n == 0:
        return ReturnMoments()
    mean = float(returns.sum()) / n
    deviations = returns - mean
    powers = deviations * deviations
    squares = float(powers.sum())
    np.multiply(deviations, powers, out=deviations)
    np.multiply(powers, powers, out=powers)
    below = np.minimum(returns, 0.0)
    np.multiply(below, below, out=below)
    return ReturnMoments(n, mean, squares, float(below.sum()), float(deviations.sum()), float(powers.sum()))


def ratios_of(moments: ReturnMoments, periods_per_year: float) -> Ratios:
    """Return all annualized ratios of a series, from its moments."""
    yearly = math.sqrt(periods_per_year)
    return Ratios(
        n_periods=moments.n,
        periods_per_year=periods_per_year,
        volatility=moments.deviation * yearly,
        sharpe=moments.sharpe * yearly,
        sortino=_divide(moments.mean, moments.downside_deviation) * yearly,
        skew=moments.skew,
        kurtosis=moments.kurtosis,
    )


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def _ratios(returns: FloatArray, periods_per_year: float, risk_free: float) -> Ratios:
    if not (math.isfinite(periods_per_year) and periods_per_year > 0):
        raise ValueError(f"periods_per_year must be > 0, was {periods_per_year}")
    return ratios_of(moments_of(finite_array(returns, "returns") - risk_free), periods_per_year)


def sharpe_ratio(returns: FloatArray, periods_per_year: float, risk_free: float = 0.0) -> float:
    """Return the annualized Sharpe ratio of simple per-period returns.

    Args:
        returns: Shape (n_periods,), fractions; NaN is refused.
        periods_per_year: 365 for daily crypto bars.
        risk_free: Per-period rate, a fraction.

    Returns:
        sqrt(periods_per_year) * mean(excess) / std(excess, ddof=1); NaN if fewer than two periods or no deviation
        beyond rounding noise.

    Raises:
        ValueError: NaN or infinity in `returns`, or `periods_per_year` not positive.

    Source: Sharpe (1994), "The Sharpe Ratio", J. Portfolio Management 21(1), 49-58.
    """
    return _ratios(returns, periods_per_year, risk_free).sharpe


def sortino_ratio(returns: FloatArray, periods_per_year: float, target: float = 0.0) -> float:
    """Return the annualized Sortino ratio of simple per-period returns.

    Args:
        returns: Shape (n_periods,), fractions; NaN is refused.
        periods_per_year: 365 for daily crypto bars.
        target: Per-period minimum acceptable return, a fraction.

    Returns:
        sqrt(periods_per_year) * mean(returns - target) / sqrt(mean(min(returns - target, 0)**2)), the mean over all
        periods and not only the losing ones; NaN if fewer than two periods or none below the target.

    Raises:
        ValueError: NaN or infinity in `returns`, or `periods_per_year` not positive.

    Source: Sortino and Price (1994), "Performance Measurement in a Downside Risk Framework", J. Investing 3(3), 59-64.
    """
    return _ratios(returns, periods_per_year, target).sortino


def annual_volatility(returns: FloatArray, periods_per_year: float) -> float:
    """Return sqrt(periods_per_year) * std(returns, ddof=1), a fraction.

    Args:
        returns: Shape (n_periods,), simple per-period returns, fractions; NaN is refused.
        periods_per_year: 365 for daily crypto bars.

    Returns:
        0 for constant returns; NaN if fewer than two periods.

    Raises:
        ValueError: NaN or infinity in `returns`, or `periods_per_year` not positive.

    Source: Hull (2018), "Options, Futures, and Other Derivatives", 10th ed., section 15.4; here with simple returns.
    """
    return _ratios(returns, periods_per_year, 0.0).volatility


def total_return(initial: float, final: float) -> float:
    """Return final / initial - 1, a fraction; below -1 where more than everything was lost.

    Raises:
        ValueError: `initial` is not positive, or one of them is not finite.

    Source: CFA Institute (2020), GIPS standards, holding period return.
    """
    if not (math.isfinite(initial) and math.isfinite(final) and initial > 0):
        raise ValueError(f"equity must be finite and start > 0, was {initial} to {final}")
    return final / initial - 1.0


def cagr(initial: float, final: float, elapsed_ns: int) -> float:
    """Return the compound annual growth rate over elapsed time, a year being 365 days.

    Args:
        initial: Equity at the start, > 0.
        final: Equity at the end.
        elapsed_ns: Time between the two.

    Returns:
        (final / initial) ** (NS_PER_YEAR / elapsed_ns) - 1; -1 if nothing is left; NaN if equity ended negative, no
        time passed, or the growth of a very short span exceeds the range of a float.

    Raises:
        ValueError: `initial` is not positive, or one of them is not finite.

    Source: CFA Institute (2020), GIPS standards, annualized return.
    """
    if total_return(initial, final) < -1.0 or elapsed_ns <= 0:
        return math.nan
    try:
        return math.pow(final / initial, NS_PER_YEAR / elapsed_ns) - 1.0
    except OverflowError:
        return math.nan


def calmar_ratio(annual_return: float, max_drawdown: float) -> float:
    """Return the annual return per unit of the deepest drawdown.

    Args:
        annual_return: Usually the CAGR over the whole curve, a fraction; NaN passes through.
        max_drawdown: A positive fraction; NaN passes through.

    Returns:
        annual_return / max_drawdown; NaN if there was no drawdown.

    Source: Young (1991), "Calmar Ratio: A Smoother Tool", Futures 20(1), 40. Young takes the last 36 months; here it
    is the whole curve.
    """
    return _divide(annual_return, max_drawdown)
