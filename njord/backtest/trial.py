"""Which trial of an idea is a run? A prepared run in; what makes it the same trial as another, and its line in the
ledger out. A finished run goes in again with the folder of the ledger, and comes out with `trial` in its result.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from njord.backtest.findings_input import with_trial
from njord.backtest.page_text import MINUS
from njord.backtest.result import BacktestResult
from njord.backtest.session import Finished, is_synthetic, write_result
from njord.backtest.simulation import Prepared
from njord.core.errors import DataError
from njord.core.registry import canonical_params, parse_params
from njord.performance.assessment import SelectionReport, assess
from njord.performance.ratios import Ratios
from njord.performance.summary import to_json_values
from njord.storage.trials import (
    TRIALS_NAME,
    LedgerState,
    Trial,
    TrialKind,
    TrialLedger,
    TrialRecord,
    trial_identity,
)

_NO_TERMS = ("poison_cuts",)  # Settings that change nothing in a run.


class TrialSubject(msgspec.Struct, frozen=True, kw_only=True):
    """What all points of one run, sweep, ... share, as the ledger knows it.

    Attributes:
        idea: Name of the strategy's file; several are joined by "+".
        code: Hash of the strategies' sources, and of which instruments each trades.
        data: Of each dataset its hash and rows.
        terms: Hash of capital, costs, account, risk limits, seed: all that decides besides code, data and parameters.
        symbols: The markets.
        synthetic: They were generated.
    """

    idea: str
    code: str
    data: tuple[str, ...]
    terms: str
    symbols: tuple[str, ...]
    synthetic: bool

    def identity(self, params: str, start_ns: int | None = None, end_ns: int | None = None) -> int:
        """Return the identity of a point with canonical `params` on a window of the data; None = all of it."""
        window = () if start_ns is None and end_ns is None else (f"[{start_ns}, {end_ns})",)
        return trial_identity(self.code, (*self.data, *window), params, self.terms)

    def record(self, kind: TrialKind, ts_ns: int, interval_ns: int, points: Sequence[Trial]) -> TrialRecord:
        """Return the line of the ledger."""
        return TrialRecord(
            kind=kind,
            idea=self.idea,
            ts_ns=ts_ns,
            symbols=self.symbols,
            interval_ns=interval_ns,
            points=points,
            synthetic=self.synthetic,
        )


def subject_of(prepared: Prepared) -> TrialSubject:
    """Return what the ledger knows a prepared run by; parameters are apart."""
    strategies = prepared.strategies
    return TrialSubject(
        idea="+".join(sorted({strategy.loaded.name for strategy in strategies})),
        code="\x1f".join(f"{each.loaded.source_hash} {each.instruments}" for each in strategies),
        data=tuple(f"{each.hash} [{each.first_row}, {each.end_row})" for each in prepared.market.sources),
        terms=_terms(prepared),
        symbols=tuple(instrument.symbol for instrument in prepared.market.instruments),
        synthetic=is_synthetic(prepared),
    )


def params_of(prepared: Prepared, more: Sequence[str] = ()) -> str:
    """Return the canonical text of a run's parameters, those of `more` (`key=value`, one strategy) in their place.

    The same values give the same text however they were typed.

    Raises:
        StrategyError: One of `more` does not fit.
    """
    if not more:
        return "\x1f".join(canonical_params(strategy.params) for strategy in prepared.strategies)
    (strategy,) = prepared.strategies
    given = [*prepared.request.params, *more]
    return canonical_params(parse_params(strategy.loaded.name, strategy.loaded.cls.Params, given))


def _terms(prepared: Prepared) -> str:
    settings = prepared.config.backtest
    terms = {
        "backtest": settings.model_dump(mode="json", exclude=set(_NO_TERMS)),
        "rules": prepared.config.risk.profiles[settings.risk_profile].model_dump(mode="json"),
        "qty": None if prepared.request.qty is None else f"{prepared.request.qty:f}",
    }
    return hashlib.sha256(msgspec.json.encode(terms, order="sorted")).hexdigest()


def count_run(prepared: Prepared, finished: Finished, state: Path, ts_ns: int) -> Finished:
    """Count a finished backtest in the ledger of the `state` folder, say in its result which trial it is, and rewrite
    its summary.

    A ledger that can not be used never costs the run: `trial.counted` is false then and `trial.error` says why.
    """
    result = finished.result
    subject = subject_of(prepared)
    ratios = _ratios(result)
    interval_ns: int = result.stats["interval_ns"]
    identity = subject.identity(params_of(prepared))
    ledger = TrialLedger(state / TRIALS_NAME)
    point = Trial(identity, ratios.sharpe / math.sqrt(ratios.periods_per_year))
    try:
        ledger.add(subject.record("backtest", ts_ns, interval_ns, (point,)))
        found = ledger.state(subject.idea, interval_ns, identity=identity, synthetic=subject.synthetic)
    except DataError as error:
        trial = _not_counted(subject, str(error))
    else:
        trial = _counted(subject, found, assess(ratios, found.count), ledger.path)
    result = with_trial(result, trial)
    write_result(finished.folder, result)
    return msgspec.structs.replace(finished, result=result)


def _ratios(result: BacktestResult) -> Ratios:
    values = {name: math.nan if value is None else value for name, value in result.stats["bar"].items()}
    return msgspec.convert(values, Ratios)


def _counted(
    subject: TrialSubject, found: LedgerState, report: SelectionReport, path: Path
) -> dict[str, Any]:
    faults = [f"line {fault.line} of {path.name} {fault.says} and is not counted" for fault in found.faults]
    return {
        "counted": True,
        "number": found.number,
        "idea": subject.idea,
        "says": trial_says(subject, found, report),
        "report": to_json_values(report),
        "faults": faults,
        "error": "",
    }


def _not_counted(subject: TrialSubject, error: str) -> dict[str, Any]:
    says = f"not counted as a trial of {subject.idea}: {error}"
    return {
        "counted": False,
        "number": None,
        "idea": subject.idea,
        "says": says,
        "report": None,
        "faults": [],
        "error": error,
    }


def trial_says(subject: TrialSubject, found: LedgerState, report: SelectionReport) -> str:
    """Return which trial it is and what it is worth, in a sentence without a full stop."""
    n = found.count.n
    which = f"trial {found.number:,}" + (f" of {n:,}" if found.number != n else "")
    where = ", ".join(subject.symbols[:3]) + (" and others" if len(subject.symbols) > 3 else "")
    made_up = " (synthetic: counted apart)" if subject.synthetic else ""
    said = f"{which} of {subject.idea} on {where}{made_up}"
    if math.isnan(report.deflated_sharpe):
        return f"{said}; no Sharpe ratio to judge"
    return (
        f"{said}; Deflated Sharpe {report.deflated_sharpe:.2f} with {n:,} trial{'' if n == 1 else 's'} "
        f"(best expected by luck alone: {_signed(report.expected_max_sharpe_annual)}, this one: "
        f"{_signed(report.sharpe_annual)})"
    )


def _signed(ratio: float) -> str:
    return f"{ratio:.2f}".replace("-", MINUS)
