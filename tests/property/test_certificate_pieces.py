"""A certificate depends on the rows and on nothing else; more of a fault never gives a better grade."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.units import NS_PER_MS
from njord.storage.certificate import windows
from njord.storage.certificate.certificate import encode_certificate, make_finding
from njord.storage.certificate.grading import GRADES, RULES
from njord.storage.certificate.tally import merge, overlap_ns
from njord.storage.certificate.windows import RowWindows
from tests.unit.storage.certificate.market_samples import (
    Columns,
    bars,
    book,
    certify,
    certify_pieces,
    events,
    quotes,
    trades,
)

CUTS = st.lists(st.integers(0, 500), max_size=12)
SEEDS = st.integers(0, 10**6)


def spoiled(kind: str, seed: int) -> Columns:
    """Return a sound market with faults of every kind at random places."""
    chance = np.random.default_rng(seed)
    columns = (
        {"bars": bars, "trades": trades, "quotes": quotes}[kind](150) if kind != "book" else book(events(60))
    )
    n = len(next(iter(columns.values())))
    for name, column in columns.items():
        if name == "flags" or chance.random() < 0.3:
            continue
        at = chance.integers(0, n, 4)
        if name == "ts_open_ns":
            late_ns = int(
                chance.choice([60_000_000_000, 90_000_000_000])
            )  # The next bars are on schedule, or not.
            columns[name] = np.sort(column + late_ns * np.cumsum(chance.integers(0, 60, n) == 0))
        elif name == "ts_ns":
            column[int(at[0]) :] += int(chance.integers(0, 3)) * 100_000 * NS_PER_MS
        elif name.endswith("_ns"):
            column[at] -= 5_000 * NS_PER_MS
        else:
            column[at] = column[at] * chance.integers(0, 3, 4)
    if kind == "bars":
        start = int(chance.integers(0, n))
        for name in ("open", "high", "low", "close", "volume_lots"):
            columns[name][start : start + 30] = columns[name][start]
    return columns


# A window holds at least the bars that the first bar's deviation is taken from: 60, and one on either side.
@pytest.mark.parametrize("kind", ["bars", "trades", "quotes", "book"])
@given(seed=SEEDS, cuts=CUTS, size=st.sampled_from([64, 100, 100_000]))
def test_any_pieces_give_the_same_bytes(kind: str, seed: int, cuts: list[int], size: int) -> None:
    columns = spoiled(kind, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_ROWS", size)
        whole = encode_certificate(certify(kind, columns))
        assert encode_certificate(certify_pieces(kind, columns, cuts)) == whole
    assert encode_certificate(certify(kind, columns)) == whole


@given(st.sampled_from([rule.check for rule in RULES]), *3 * [st.integers(1, 10**6)])
def test_more_of_a_fault_never_gives_a_better_grade(check: str, n: int, more: int, of: int) -> None:
    less, worse = make_finding(check, min(n, of), of), make_finding(check, min(n + more, of), of)
    assert GRADES.index(less.grade) <= GRADES.index(worse.grade)


RANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=12)


def merged(ranges: Sequence[tuple[int, int]]) -> "np.typing.NDArray[np.int64]":
    return merge(
        np.array([(start, start + length) for start, length in ranges], dtype=np.int64).reshape(-1, 2)
    )


@given(RANGES, RANGES)
def test_the_overlap_of_ranges_is_that_of_their_moments(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    moments = [{t for start, length in each for t in range(start, start + length)} for each in (one, other)]
    assert overlap_ns(merged(one), merged(other)) == len(moments[0] & moments[1])
    ranges = merged(one).tolist()
    assert {t for start, end in ranges for t in range(start, end)} == moments[0]
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


@given(CUTS, st.integers(1, 60), st.integers(0, 9), st.integers(0, 9))
def test_windows_hand_out_every_row_once_with_its_surroundings(
    cuts: list[int], size: int, before: int, after: int
) -> None:
    rows = np.arange(500)
    edges = [0, *sorted(min(cut, 500) for cut in cuts), 500]
    cutter = RowWindows(1, before, after, size)
    found = [
        window for start, end in pairwise(edges) for window in list(cutter.add([rows[start:end]]))
    ] + list(cutter.finish())
    own = [window.columns[0][window.start : window.end] for window in found]
    assert np.concatenate(own).tolist() == rows.tolist()
    for window in found:
        (column,) = window.columns
        assert column[0] == window.first_row
        first, end = window.first_row + window.start, window.first_row + window.end
        assert column.tolist() == list(range(max(0, first - before), min(500, end + after)))
    assert all(len(each) == size for each in own[:-1])
