"""Counting by hand: a notebook that tries an idea without `njord backtest` must be counted too.

The returns of one run in (and what it ran on); the trial is in the ledger then, and the report of what is left of its
Sharpe ratio once all trials of the idea are counted goes out.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.performance.assessment import SelectionReport, assess
from njord.performance.ratios import moments_of, ratios_of
from njord.performance.returns import FloatArray, finite_array, periods_per_year
from njord.storage.trials import TRIALS_NAME, Trial, TrialLedger, TrialRecord, trial_identity


def count_notebook_run(
    idea: str,
    returns: FloatArray,
    *,
    interval_ns: int,
    symbols: tuple[str, ...],
    data: str,
    params: Mapping[str, str | int | float | bool | None],
    code: str,
    synthetic: bool = False,
    root: Path = Path(),
) -> SelectionReport:
    """Count one evaluation of `idea` in the ledger, and return what it shows with all trials counted.

    Call it wherever a cell computes a result, before the result is looked at. The same code, data and parameters
    again are no new trial.

    Args:
        idea: Name of the idea; that of its strategy file, so that its backtests and sweeps count with it.
        returns: Shape (n_periods,): simple returns per bar, fractions; NaN is refused. Of an equity curve:
            `njord.performance.returns.simple_returns`.
        interval_ns: Of a bar.
        symbols: On which markets.
        data: What identifies the data, such as the hash of a dataset, and the rows.
        params: Of this evaluation.
        code: The text of the function or the cell that computed the returns; any change of it is another trial.
        synthetic: The market was generated; such trials are counted apart.
        root: The folder that holds config/ and var/.

    Raises:
        ValueError: NaN or infinity in `returns`, or `interval_ns` not positive.
        DataError: The ledger can not be used.
        ConfigError: The configuration is wrong.
    """
    ratios = ratios_of(moments_of(finite_array(returns, "returns")), periods_per_year(interval_ns))
    text = msgspec.json.encode(dict(params), order="sorted").decode()
    identity = trial_identity(hashlib.sha256(code.encode()).hexdigest(), (data,), text, "notebook")
    ledger = TrialLedger(root / load_config(root).config.paths.state / TRIALS_NAME)
    ledger.add(
        TrialRecord(
            kind="notebook",
            idea=idea,
            ts_ns=WallClock().now_ns(),
            symbols=symbols,
            interval_ns=interval_ns,
            points=(Trial(identity, ratios.sharpe / math.sqrt(ratios.periods_per_year)),),
            synthetic=synthetic,
        )
    )
    return assess(ratios, ledger.count(idea, interval_ns, synthetic=synthetic))
