"""However a recording is cut into imports, overlapping or not, in any order: the store ends as after one import."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.storage.store.kinds import COLUMNS, DataKind
from njord.storage.store.merge_rows import aligned, merge_block
from njord.storage.store.store import Store
from njord.storage.store.verify import verify
from tests.unit.storage.store.store_samples import (
    DAY_NS,
    MINUTE_NS,
    START_NS,
    QuickFiles,
    Rows,
    new_store,
    piece,
    put,
    same,
)

# Steps between the times of successive rows: often none, sometimes into the next day or month.
STEPS = st.sampled_from([0, 0, 0, 1, 1, 1_000, DAY_NS // 2, 20 * DAY_NS])
KINDS = st.sampled_from([DataKind.TRADES, DataKind.BARS, DataKind.QUOTES, DataKind.BOOK])


@st.composite
def recordings(draw: st.DrawFn) -> tuple[DataKind, Rows]:
    """Rows of a kind whose ids rise, with bursts at one time."""
    kind = draw(KINDS)
    steps = draw(st.lists(STEPS, min_size=1, max_size=40))
    if kind is DataKind.BARS:
        steps = [max(step, MINUTE_NS) for step in steps]
    n_rows = len(steps)
    rows = {
        name: np.array(draw(st.lists(st.integers(-3, 3), min_size=n_rows, max_size=n_rows)), dtype=np.int64)
        for name in COLUMNS[kind]
    }
    rows[COLUMNS[kind][0]] = START_NS + np.cumsum(np.array(steps, dtype=np.int64))
    for name in ("trade_id", "last_update_id", "update_id"):
        if name in rows:
            rows[name] = np.arange(1, n_rows + 1, dtype=np.int64)
    return kind, rows


CUTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=4)


@settings(max_examples=settings().max_examples // 3)  # Each one is up to six imports.
@given(recordings(), CUTS)
def test_overlapping_imports_in_any_order_equal_one_import(
    recording: tuple[DataKind, Rows], cuts: list[tuple[float, float]]
) -> None:
    kind, rows = recording
    n_rows = len(rows[COLUMNS[kind][0]])
    folder = Path(tempfile.mkdtemp())
    try:
        store, other = new_store(folder), Store(folder / "other", create=True, files=QuickFiles())
        whole = put(store, kind, rows)
        for start, length in cuts:
            first = int(start * (n_rows - 1))
            put(other, kind, piece(rows, first, first + 1 + int(length * (n_rows - first - 1))))
        merged = put(other, kind, rows)
        assert merged.hash == whole.hash
        assert same(merged.read(), rows)
        assert verify(merged) == []
        assert put(other, kind, piece(rows, n_rows // 3, n_rows)).manifest == merged.manifest
    finally:
        shutil.rmtree(folder)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=20),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=20),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_merged_rows_are_the_larger_count_of_each_row_whatever_the_blocks(
    old: list[tuple[int, int]], new: list[tuple[int, int]], old_size: int, new_size: int
) -> None:
    # Trades without ids: time and price alone tell them apart, and the oracle is a multiset.
    empty = as_rows([])
    ours, theirs = as_rows(sorted(old)), as_rows(sorted(new))
    blocks = [
        merge_block(DataKind.TRADES, *pair)
        for pair in aligned(iter(cut(ours, old_size)), iter(cut(theirs, new_size)), empty)
    ]
    merged = [
        row for block in blocks for row in zip(block.rows[0].tolist(), block.rows[4].tolist(), strict=True)
    ]
    expected = [row for row in set(old) | set(new) for _ in range(max(old.count(row), new.count(row)))]
    assert sorted(merged) == sorted(expected)
    assert [ts for ts, _ in merged] == sorted(ts for ts, _ in merged)
    assert sum(block.n_known for block in blocks) == len(old) + len(new) - len(expected)
    assert sum(len(block.added[0]) for block in blocks) == len(expected) - len(old)


def as_rows(rows: list[tuple[int, int]]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Trades at (time, price)."""
    times, prices = (np.array([row[at] for row in rows], dtype=np.int64) for at in (0, 1))
    zero = np.zeros(len(rows), dtype=np.int64)
    return [times, zero, zero, zero, prices, zero]


def cut(
    rows: list[np.ndarray[tuple[int], np.dtype[np.int64]]], size: int
) -> list[list[np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    """Blocks of `size` rows."""
    return [[column[first : first + size] for column in rows] for first in range(0, len(rows[0]), size)]
