"""Where does a walk-forward lie, and what of it survives a crash? Finished folds in, a result folder out.

While it runs, the folder keeps one file for each finished fold, written whole or not at all, and what they belong to.
When all are done they give way to the result, which does not depend on how often the run was interrupted:

    walkforward.json   everything that it says (NaN is null)
    folds.parquet      one row a fold: ranges, choice, figures inside and outside
    curve.parquet      one row a bar of the stitched out-of-sample curve: ts_ns, fold, return, equity
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from njord.adapters.state_lock import write_durably
from njord.core.errors import ConfigError, DataError
from njord.performance.summary import to_json_values
from njord.research.walkforward import FoldResult, FoldRun
from njord.research.walkforward_result import Stitched, WalkForward
from njord.storage.bars_text import one_line
from njord.storage.export import write_whole

RESULT = "walkforward.json"
FOLDS = "folds.parquet"
CURVE = "curve.parquet"
_KEPT = "kept"
_PLAN = "plan.json"
_DIGEST_BYTES = 32
# Of the score outside; the names of its columns begin with `outside_`.
_OUTSIDE = (
    "n_orders",
    "n_fills",
    "n_trips",
    "final_equity",
    "total_return",
    "sharpe",
    "sortino",
    "volatility",
    "calmar",
    "max_drawdown",
    "win_rate",
    "profit_factor",
    "exposure",
    "fees",
    "turnover",
)


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What kept folds belong to: they are good for nothing else.

    Attributes:
        id: Hash of everything that decides.
        typed: What the user typed, for who goes on.
    """

    id: str
    typed: dict[str, Any]


class _Kept(msgspec.Struct, frozen=True):
    result: FoldResult
    ts_ns: bytes
    returns: bytes
    sharpes: bytes


class WalkForwardFolder:
    """The folder of one walk-forward.

    Args:
        path: Where it is, or is to be.
        plan_id: Hash of everything that decides.
        n_folds: How many folds there are to be.

    """

    def __init__(self, path: Path, plan_id: str, n_folds: int) -> None:
        self.path = path
        self._kept = path / _KEPT
        self._plan_id, self._n_folds = plan_id, n_folds

    def begin(self, typed: dict[str, Any]) -> None:
        """Make the folder; `typed` is what the user typed, for who goes on."""
        self._kept.mkdir(parents=True)
        plan = KeptPlan(id=self._plan_id, typed=typed)
        write_durably(self._kept / _PLAN, msgspec.json.encode(plan) + b"\n")

    def resume(self) -> dict[int, FoldRun]:
        """Return the folds that are finished, by number.

        A file that is not what was written (the disk may have lost it) is passed over, and its fold run again.

        Raises:
            ConfigError: The folder is of another walk-forward.
            DataError: It is of none that is unfinished.
        """
        if read_plan(self.path).id != self._plan_id:
            raise ConfigError(
                f"{one_line(self.path, 200)} was begun with other code, data or configuration",
                "its folds would not fit together; begin anew without --resume",
            )
        found = ((number, _read(self._fold_file(number), number)) for number in range(1, self._n_folds + 1))
        return {number: run for number, run in found if run is not None}

    @property
    def n_kept(self) -> int:
        """How many folds are kept."""
        return sum(self._fold_file(number).is_file() for number in range(1, self._n_folds + 1))

    def keep(self, run: FoldRun) -> None:
        """Keep a finished fold; it survives a power cut when this returns."""
        arrays = (
            array.astype(kind).tobytes()
            for array, kind in ((run.ts_ns, "<i8"), (run.returns, "<f8"), (run.sharpes, "<f8"))
        )
        kept = _Kept(run.result, *arrays)
        data = msgspec.msgpack.encode(kept)
        write_durably(self._fold_file(run.result.number), hashlib.sha256(data).digest() + data)

    def finish(self, result: WalkForward, curve: Stitched) -> None:
        """Write the result, `walkforward.json` last, and drop what was kept.

        Raises:
            DataError: The disk refuses.
        """
        _write_parquet(self.path / FOLDS, folds_table(result))
        _write_parquet(self.path / CURVE, curve_table(curve))
        write_durably(self.path / RESULT, encode_result(result))
        shutil.rmtree(self._kept)

    def _fold_file(self, number: int) -> Path:
        return self._kept / f"fold-{number:04d}.bin"


def read_plan(folder: Path) -> KeptPlan:
    """Return what an unfinished walk-forward belongs to.

    Raises:
        DataError: There is none.
    """
    try:
        return msgspec.json.decode((folder / _KEPT / _PLAN).read_bytes(), type=KeptPlan)
    except (OSError, msgspec.MsgspecError):
        is_finished = (folder / RESULT).is_file()
        remedy = "it is finished: read its walkforward.json" if is_finished else "begin one without --resume"
        raise DataError(f"{one_line(folder, 200)} holds no unfinished walk-forward", remedy) from None


def encode_result(result: WalkForward) -> bytes:
    """Return the result as indented JSON, ended by a newline; the same result gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(json_of(result)), indent=1) + b"\n"


def json_of(result: WalkForward) -> dict[str, Any]:
    """Return the result as plain values, with what follows from each fold beside it; NaN is None."""
    plain = to_json_values(result)
    assert isinstance(plain, dict)
    for row, fold in zip(plain["folds"], result.folds, strict=True):
        row["params"] = dict(fold.params)
        for name in ("outside_sharpe", "degradation", "efficiency"):
            row[name] = to_json_values(getattr(fold, name))
    return plain


def read_result(folder: Path) -> dict[str, Any]:
    """Return `walkforward.json` of a finished walk-forward, for pages and tools.

    Raises:
        DataError: There is none, or it is damaged.
    """
    try:
        found: dict[str, Any] = msgspec.json.decode((folder / RESULT).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        raise DataError(
            f"{one_line(folder, 200)} holds no finished walk-forward", "make one with: njord walkforward"
        ) from None
    return found


def folds_table(result: WalkForward) -> pl.DataFrame:
    """Return one row for each fold; parameters are text, in columns `param_<name>`."""
    rows = [_row(result, fold) for fold in result.folds]
    params = {f"param_{axis.name}": pl.String for axis in result.axes}
    floats = {name: pl.Float64 for name in rows[0] if isinstance(rows[0][name], float)}
    return pl.DataFrame(rows, schema_overrides={**params, **floats}, infer_schema_length=None)


def curve_table(curve: Stitched) -> pl.DataFrame:
    """Return one row for each bar of the stitched curve."""
    columns = {"ts_ns": curve.ts_ns, "fold": curve.fold, "return": curve.returns, "equity": curve.equity}
    return pl.DataFrame(columns)


def _row(result: WalkForward, fold: FoldResult) -> dict[str, Any]:
    params, outside = dict(fold.params), fold.outside
    return {
        "fold": fold.number,
        "train_start_ns": fold.train[0].start_ns,
        "train_end_ns": fold.train[-1].end_ns,
        "n_train": fold.n_train,
        "test_start_ns": fold.test.start_ns,
        "test_end_ns": fold.test.end_ns,
        "n_test": fold.n_test,
        "n_points": fold.n_points,
        "n_failed": fold.n_failed,
        **{f"param_{axis.name}": params.get(axis.name) for axis in result.axes},
        "objective": fold.objective,
        "median": fold.median,
        "inside_sharpe": fold.inside_sharpe,
        "outside_sharpe": fold.outside_sharpe,
        "degradation": fold.degradation,
        "efficiency": fold.efficiency,
        **{
            f"outside_{name}": None if outside is None else getattr(outside, name)
            for name in _OUTSIDE
            if name != "sharpe"
        },
        "error": "" if outside is None else outside.error,
    }


def _read(path: Path, number: int) -> FoldRun | None:
    try:
        digest, data = (raw := path.read_bytes())[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    except OSError:
        return None
    if hashlib.sha256(data).digest() != digest:
        return None
    kept = msgspec.msgpack.decode(data, type=_Kept)
    if kept.result.number != number:
        return None
    return FoldRun(
        kept.result,
        np.frombuffer(kept.ts_ns, "<i8"),
        np.frombuffer(kept.returns, "<f8"),
        np.frombuffer(kept.sharpes, "<f8"),
    )


def _write_parquet(path: Path, table: pl.DataFrame) -> None:
    write_whole(path, lambda temp: table.write_parquet(temp, compression="zstd"), force=True)
