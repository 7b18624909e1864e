"""Rows of a sweep survive a kill: what the ledger vouches for is kept, everything else is cut off."""

import math
from pathlib import Path

import numpy as np
import pytest

from njord.backtest.point import Score, Window
from njord.research.axes import Axis
from njord.research.sweep_result import TABLE, SweepPlan
from njord.research.sweep_store import LEDGER, ROWS, Rows, SweepStore, row_of, score_of
from njord.research.sweep_table import Finisher, column_name

BLOCKS = ((3, 0.1, 0.2), (4, -0.1, 0.3))


def score(sharpe: float, error: str = "") -> Score:
    return Score(
        params=(("fast", "5"),),
        n_bars=7,
        sharpe=sharpe,
        total_return=sharpe / 10,
        blocks=BLOCKS,
        error=error,
    )


def chunk(*indices: int) -> Rows:
    return np.concatenate([row_of(index, score(float(index)), 2) for index in indices])


def filled(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    store = SweepStore(folder, 2)
    store.add(0, chunk(0, 1))
    store.add(1, chunk(2, 3))
    store.close()


def plan(n_values: int) -> SweepPlan:
    return SweepPlan(
        identity="x", strategy="sma_cross", symbol="BTC/USDT", data="bars", shared=(), objective="sharpe",
        axes=(Axis("fast", tuple(f"{value}" for value in range(n_values))),), sampler="grid", pruner="none",
        n_points=None, seed=1, n_top=3, n_blocks=2, chunk_points=2, engine="ordered", why_ordered="",
        window=Window(), holdout=None,
    )  # fmt: skip


def test_a_row_is_the_score_it_was_made_of() -> None:
    whole = score(1.5, "an error")
    back = score_of(row_of(9, whole, 2)[0], whole.params)
    assert str(back) == str(whole)  # NaN is not equal to itself, its text is.


def test_rows_are_there_again_after_reopening(tmp_path: Path) -> None:
    filled(tmp_path)
    store = SweepStore(tmp_path, 2)
    assert store.done == {0, 1}
    assert store.column("index").tolist() == [0, 1, 2, 3]
    assert store.take(np.array([3, 0]))["sharpe"].tolist() == [3.0, 0.0]
    store.close()
    store.close()


def test_errors_are_known_by_how_they_begin(tmp_path: Path) -> None:
    store = SweepStore(tmp_path, 2)
    assert store.has_error().tolist() == []
    rows = [row_of(at, score(1.0, error), 2) for at, error in enumerate(("", "pruned after 4", "no bars"))]
    store.add(0, np.concatenate(rows))
    assert store.has_error().tolist() == [False, True, True]
    assert store.has_error("pruned").tolist() == [False, True, False]
    store.close()


@pytest.mark.parametrize("damage", ["torn line", "torn rows", "rows without a line", "changed byte"])
def test_what_a_kill_left_half_done_is_cut_off_and_written_again(tmp_path: Path, damage: str) -> None:
    filled(tmp_path)
    whole = {name: (tmp_path / name).read_bytes() for name in (ROWS, LEDGER)}
    rows, lines = whole[ROWS], whole[LEDGER]
    if damage == "torn line":
        (tmp_path / LEDGER).write_bytes(lines[:-3])
    elif damage == "torn rows":
        (tmp_path / ROWS).write_bytes(rows[:-3])
    elif damage == "rows without a line":
        (tmp_path / LEDGER).write_bytes(lines.splitlines(keepends=True)[0])
    else:
        (tmp_path / ROWS).write_bytes(rows[:-1] + bytes([rows[-1] ^ 1]))
    store = SweepStore(tmp_path, 2)
    assert store.done == {0}
    assert store.n_rows == 2
    store.add(1, chunk(2, 3))
    store.close()
    assert {name: (tmp_path / name).read_bytes() for name in (ROWS, LEDGER)} == whole


def test_the_table_is_the_same_bytes_in_whatever_order_chunks_came(tmp_path: Path) -> None:
    tables = []
    for name, order in (("a", (0, 1, 2)), ("b", (2, 0, 1))):
        folder = tmp_path / name
        folder.mkdir()
        store = SweepStore(folder, 2)
        for number in order:
            store.add(number, chunk(2 * number, 2 * number + 1))
        Finisher(store, plan(6)).write(folder)
        store.remove()
        assert [path.name for path in folder.iterdir()] == [TABLE]
        tables.append((folder / TABLE).read_bytes())
    assert tables[0] == tables[1]


def test_the_best_are_ranked_without_failures_and_ties_go_to_the_first(tmp_path: Path) -> None:
    store = SweepStore(tmp_path, 2)
    values = [1.0, 5.0, math.nan, 5.0, 9.0, 2.0]
    rows = [row_of(index, score(value), 2) for index, value in enumerate(values)]
    rows[4] = row_of(4, score(9.0, "pruned after 1 of 2 blocks"), 2)
    rows[5] = row_of(5, score(2.0, "ValueError: no"), 2)
    store.add(0, np.concatenate(rows))
    found = Finisher(store, plan(6)).overview()
    store.close()
    assert [best.score.params[0][1] for best in found.best] == ["1", "3", "0"]
    assert (found.n_failed, found.n_pruned, found.n_points) == (1, 1, 6)
    assert found.best[0].neighbors == 1.0  # Of 0 and 2 only 0 has a value.
    assert found.best[0].n_neighbors == 1
    assert math.isnan(found.best[1].neighbors)  # 2 has none, 4 was given up.
    assert found.median == 5.0


def test_a_parameter_that_is_called_like_a_figure_has_a_column_of_its_own() -> None:
    assert column_name(Axis("sharpe", ("1",))) == "param_sharpe"
    assert column_name(Axis("fast", ("1",))) == "fast"
