"""Assessment: after all that was tried, what does the best result show?

The moments of the chosen track record, the count of the trials and (of a sweep) the sums per block of all points come
in; one report with a verdict, its reason in a sentence and every figure behind it goes out.
"""

import math
from typing import Literal

import msgspec

from njord.performance.overfitting import group_logits, pbo_cscv
from njord.performance.ratios import Ratios
from njord.performance.returns import FloatArray
from njord.performance.selection import (
    TrialCount,
    deflated_sharpe,
    luck_benchmark,
    min_track_record_length,
    probabilistic_sharpe,
)

Verdict = Literal["overfit", "not shown", "holds"]
CONFIDENCE = 0.95
LUCK = 0.90
PBO_HOLDS = 0.05
PBO_OVERFIT = 0.5


class SelectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the best of all trials shows. Sharpe ratios are per bar unless the name says otherwise; NaN = not defined.

    Attributes:
        verdict: See `assess`.
        because: The reason in a sentence.
        n_trials: Distinct trials of the idea, this one counted.
        n_compared: Of them, those whose Sharpe ratios could be compared.
        n_periods: Returns of the chosen track record.
        periods_per_year: What Sharpe ratios were annualized with.
        sharpe: Of the chosen track record, per bar.
        sharpe_annual: The same, annualized.
        skew: Of its returns.
        kurtosis: Of its returns; 3 for a normal.
        probabilistic_sharpe: Probability that the true Sharpe ratio is above 0, looked at alone.
        expected_max_sharpe: To be expected of the best of so many trials without skill, per bar.
        expected_max_sharpe_annual: The same, annualized.
        deflated_sharpe: Probability that the true Sharpe ratio is above 0, the trials counted.
        min_track_record_length: Periods that it takes to show a Sharpe ratio above 0 with 95 %, looked at alone;
            infinite for one that is not above 0.
        pbo: Probability of backtest overfitting; NaN without blocks.
        n_splits: Splits of time behind it; 0 without blocks.
        degradation_slope: What a Sharpe ratio inside was worth outside; NaN without blocks.
        probability_of_loss: Of the best inside, outside; NaN without blocks.
        logits: (lower edge, splits) of the histogram of logits; empty without blocks.
    """

    verdict: Verdict
    because: str
    n_trials: int
    n_compared: int
    n_periods: int
    periods_per_year: float
    sharpe: float
    sharpe_annual: float
    skew: float
    kurtosis: float
    probabilistic_sharpe: float
    expected_max_sharpe: float
    expected_max_sharpe_annual: float
    deflated_sharpe: float
    min_track_record_length: float
    pbo: float = math.nan
    n_splits: int = 0
    degradation_slope: float = math.nan
    probability_of_loss: float = math.nan
    logits: tuple[tuple[float, int], ...] = ()


def assess(best: Ratios, trials: TrialCount, blocks: FloatArray | None = None) -> SelectionReport:
    """Return what the best of all trials shows.

    The verdict is the first of these that applies:

    - "overfit": the trials explain the result. Either it convinces only while they are not counted: alone it shows a
      Sharpe ratio above 0 (PSR >= 0.95), with them it does not (DSR < 0.90, of two trials or more). Or the choice
      among the points does worse than a blind one: PBO > 0.5, with a Sharpe ratio above 0 and DSR < 0.95.
      Why 0.90: of N independent trials without skill, whose variance is that of chance, the best stays below it with
      a probability of Phi(E[max] + 1.28)**N: 93 % for 2, 95 % for 3, 98 % for 20, 99.7 % for 1,000 (a closed form,
      held by a test). Why 0.5: there the best inside lands in the lower half outside more often than not.
    - "holds": DSR >= 0.95 and, if there are blocks, PBO <= 0.05: the usual 5 % for either kind of error, which is
      also what Bailey et al. (2017) propose for the PBO.
    - "not shown": everything else. Not convincing even alone, between the thresholds, or not defined: too short, no
      deviation, no trade.

    It says nothing of trials that nobody counted, and takes each counted one for independent of the others.

    Args:
        best: Of the chosen track record, per bar.
        trials: All trials of the idea, the chosen one and every point of its sweep counted.
        blocks: As `pbo_cscv` takes them, of the points it was chosen from; None without a choice among points.

    Raises:
        ValueError: `blocks` of another shape, or not finite; fewer than one trial.

    Source: the modules `selection` and `overfitting`.
    """
    if trials.n < 1:
        raise ValueError(f"trials.n must be >= 1: what is assessed is a trial itself, was {trials.n}")
    sharpe = best.sharpe / math.sqrt(best.periods_per_year)
    yearly = math.sqrt(best.periods_per_year)
    shape = (best.skew, best.kurtosis)
    luck = luck_benchmark(trials, best.n_periods)
    alone = probabilistic_sharpe(sharpe, best.n_periods, *shape)
    deflated = deflated_sharpe(sharpe, best.n_periods, *shape, trials)
    shown = None if blocks is None else pbo_cscv(blocks)
    pbo = math.nan if shown is None else shown.pbo
    verdict, because = _judge(sharpe * yearly, luck * yearly, alone, deflated, pbo, trials.n)
    report = SelectionReport(
        verdict=verdict,
        because=because,
        n_trials=trials.n,
        n_compared=trials.n_compared,
        n_periods=best.n_periods,
        periods_per_year=best.periods_per_year,
        sharpe=sharpe,
        sharpe_annual=best.sharpe,
        skew=best.skew,
        kurtosis=best.kurtosis,
        probabilistic_sharpe=alone,
        expected_max_sharpe=luck,
        expected_max_sharpe_annual=luck * yearly,
        deflated_sharpe=deflated,
        min_track_record_length=min_track_record_length(sharpe, *shape, confidence=CONFIDENCE),
    )
    if shown is None:
        return report
    return msgspec.structs.replace(
        report,
        pbo=pbo,
        n_splits=shown.n_splits,
        degradation_slope=shown.slope,
        probability_of_loss=shown.probability_of_loss,
        logits=tuple(group_logits(shown.logits)),
    )


def _judge(
    sharpe: float, luck: float, alone: float, deflated: float, pbo: float, n_trials: int
) -> tuple[Verdict, str]:
    if math.isnan(alone + deflated):
        return "not shown", "There is no Sharpe ratio to judge: too few returns, or none that deviate."
    tried = f"{n_trials:,} trial{'' if n_trials == 1 else 's'}"
    if n_trials > 1 and alone >= CONFIDENCE and deflated < LUCK:
        return "overfit", (
            f"Alone it convinces (probabilistic Sharpe {alone:.2f}), but after {tried} luck alone is expected to "
            f"reach {luck:.2f}, and it has {sharpe:.2f} (Deflated Sharpe {deflated:.2f})."
        )
    if pbo > PBO_OVERFIT and sharpe > 0 and deflated < CONFIDENCE:
        return "overfit", (
            f"In {pbo:.0%} of the splits of time the best of one half was in the lower half of the ranking in the other."
        )
    if deflated < CONFIDENCE:
        return "not shown", (
            f"Deflated Sharpe {deflated:.2f} after {tried}: below {CONFIDENCE:.2f}, skill is not shown."
        )
    if pbo > PBO_HOLDS:
        return "not shown", (
            f"Deflated Sharpe {deflated:.2f} after {tried}, but the choice among the points is fragile: in {pbo:.0%} "
            f"of the splits of time the best of one half was in the lower half of the ranking in the other."
        )
    return "holds", f"Deflated Sharpe {deflated:.2f} after {tried}: more than luck among them explains."
