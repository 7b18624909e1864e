"""Selection: how sure is a Sharpe ratio, given its length, its tails, and how many were tried before it?

One Sharpe ratio per period (never annualized), the shape of its returns and the trials it was chosen from come in;
probabilities, the best Sharpe ratio that luck alone would give, and the length a track record needs go out.
"""

import math
from statistics import NormalDist

import msgspec

EULER_MASCHERONI = 0.577215664901532860606512090082
_NORMAL = NormalDist()


class TrialCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often an idea has been tried, and how far apart the results lay.

    Attributes:
        n: Distinct trials: of code, data, parameters and terms.
        n_compared: Of them, those whose Sharpe ratio is defined and of the same bar interval.
        mean_sharpe: Of those, per bar, not annualized; NaN without any.
        variance_sharpe: Likewise (ddof=1); NaN for fewer than two.
        first_ns: When the first was counted; None without any.
        last_ns: When the last was counted; None without any.
    """

    n: int
    n_compared: int = 0
    mean_sharpe: float = math.nan
    variance_sharpe: float = math.nan
    first_ns: int | None = None
    last_ns: int | None = None


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal is below `z`, exact to about 1e-15 of itself in both tails.

    Source: Abramowitz and Stegun (1964), "Handbook of Mathematical Functions", 7.1.2 and 26.2.29.
    """
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def sharpe_error(sharpe: float, n_periods: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Return the standard error of a Sharpe ratio per period.

    Args:
        sharpe: Per period, not annualized.
        n_periods: Returns that it is made of.
        skew: Of the returns; 0 for a normal.
        kurtosis: Of the returns, not in excess; 3 for a normal.

    Returns:
        sqrt((1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (n_periods - 1)); NaN for fewer than two periods,
        or where an argument is NaN. The numerator of no sample of returns is negative (kurtosis >= 1 + skew**2).

    Raises:
        ValueError: skew and kurtosis belong to no distribution, so that the numerator is negative.

    Source: Mertens (2002), "Comments on Variance of the IID estimator in Lo (2002)"; Bailey and Lopez de Prado (2012),
    "The Sharpe Ratio Efficient Frontier", J. Risk 15(2), eq. 6.
    """
    if n_periods < 2 or math.isnan(sharpe + skew + kurtosis):
        return math.nan
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if spread < -1e-9:
        raise ValueError(
            f"no returns have skew {skew} and kurtosis {kurtosis}: kurtosis must be >= 1 + skew**2"
        )
    return math.sqrt(max(spread, 0.0) / (n_periods - 1))


def probabilistic_sharpe(
    sharpe: float, n_periods: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark` (PSR).

    Args:
        sharpe: Observed, per period, not annualized.
        n_periods: Returns that it is made of.
        skew: Of the returns; 0 for a normal.
        kurtosis: Of the returns, not in excess; 3 for a normal.
        benchmark: What it is held against, per period.

    Returns:
        Phi((sharpe - benchmark) / standard error), 0 to 1; NaN for fewer than two periods or a NaN argument.

    Raises:
        ValueError: skew and kurtosis belong to no distribution.

    Source: Bailey and Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", J. Risk 15(2), eq. 9.
    """
    error = sharpe_error(sharpe, n_periods, skew, kurtosis)
    above = sharpe - benchmark
    if math.isnan(error + above):
        return math.nan
    if not error:
        return 0.5 if not above else float(above > 0)
    return normal_cdf(above / error)


def min_track_record_length(
    sharpe: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Return how many periods a track record needs before `sharpe` exceeds `benchmark` with `confidence` (MinTRL).

    Args:
        sharpe: Observed, per period, not annualized.
        skew: Of the returns; 0 for a normal.
        kurtosis: Of the returns, not in excess; 3 for a normal.
        benchmark: What it is held against, per period.
        confidence: Wanted, above 0.5 and below 1.

    Returns:
        Periods, not rounded: 1 + (1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2) *
        (Phi^-1(confidence) / (sharpe - benchmark))**2; infinite unless sharpe > benchmark; NaN for a NaN argument.

    Raises:
        ValueError: `confidence` out of bounds, or skew and kurtosis belong to no distribution.

    Source: Bailey and Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", J. Risk 15(2), eq. 11.
    """
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"confidence must be above 0.5 and below 1, was {confidence}")
    error = sharpe_error(sharpe, 2, skew, kurtosis)  # Of two periods it is the root of the numerator alone.
    if math.isnan(error + benchmark):
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    return 1.0 + (error * _NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def expected_max_sharpe(n_trials: float, variance: float, mean: float = 0.0) -> float:
    """Return the highest Sharpe ratio to expect of `n_trials` independent trials without skill.

    Args:
        n_trials: At least 1.
        variance: Of the Sharpe ratios across trials, in the square of the unit of the answer.
        mean: Of the Sharpe ratios across trials; 0 = no skill.

    Returns:
        mean + sqrt(variance) * ((1 - g) * Phi^-1(1 - 1/N) + g * Phi^-1(1 - 1/(N e))), g = 0.5772...; `mean` for one
        trial; NaN for a NaN argument. An approximation for large N, about 2 % above the truth at N = 10.

    Raises:
        ValueError: `n_trials` below 1 or a negative variance.

    Source: Bailey, Borwein, Lopez de Prado and Zhu (2014), "Pseudo-Mathematics and Financial Charlatanism", Notices of
    the AMS 61(5), prop. 1; Bailey and Lopez de Prado (2014), "The Deflated Sharpe Ratio", J. Portfolio Mgmt. 40(5).
    """
    if n_trials < 1 or variance < 0:
        raise ValueError(f"n_trials must be >= 1 and variance >= 0, were {n_trials} and {variance}")
    if n_trials == 1 or math.isnan(n_trials + variance + mean):
        return mean if n_trials == 1 else math.nan
    # -Phi^-1(p) and not Phi^-1(1 - p): the latter loses its digits for many trials.
    highest = -(1.0 - EULER_MASCHERONI) * _NORMAL.inv_cdf(1.0 / n_trials)
    highest -= EULER_MASCHERONI * _NORMAL.inv_cdf(1.0 / (n_trials * math.e))
    return mean + math.sqrt(variance) * highest


def luck_benchmark(trials: TrialCount, n_periods: int) -> float:
    """Return the Sharpe ratio per period that the luckiest of all trials without skill is expected to show.

    Args:
        trials: As counted.
        n_periods: Returns of the track record in question.

    Returns:
        `expected_max_sharpe` with the variance that the trials really had; where fewer than two can be compared, with
        that of a Sharpe ratio without skill over `n_periods` normal returns, 1 / (n_periods - 1). 0 for one trial,
        NaN for fewer than two periods.
    """
    if trials.n <= 1:
        return 0.0
    variance = trials.variance_sharpe
    if math.isnan(variance):
        variance = 1.0 / (n_periods - 1) if n_periods > 1 else math.nan
    return expected_max_sharpe(trials.n, variance)


def deflated_sharpe(sharpe: float, n_periods: int, skew: float, kurtosis: float, trials: TrialCount) -> float:
    """Return the probability that the true Sharpe ratio exceeds 0, the trials it was chosen from counted (DSR).

    Args:
        sharpe: Of the chosen trial, per period, not annualized.
        n_periods: Returns that it is made of.
        skew: Of its returns; 0 for a normal.
        kurtosis: Of its returns, not in excess; 3 for a normal.
        trials: All that were tried. Each counts as independent of the others: trials that resemble each other make
            the answer too low rather than too high.

    Returns:
        `probabilistic_sharpe` against `luck_benchmark`; NaN where that is.

    Raises:
        ValueError: skew and kurtosis belong to no distribution.

    Source: Bailey and Lopez de Prado (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
    Overfitting and Non-Normality", J. Portfolio Management 40(5), 94-107, eq. 2.
    """
    return probabilistic_sharpe(sharpe, n_periods, skew, kurtosis, luck_benchmark(trials, n_periods))
