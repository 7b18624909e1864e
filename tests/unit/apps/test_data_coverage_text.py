"""Coverage in characters: a column says full only when nothing is missing, and bad time has its own mark."""

import numpy as np
import pytest

from njord.apps.data_coverage import Coverage
from njord.apps.data_coverage_text import MARK, draw, levels
from njord.storage.store.kinds import IntArray
from tests.unit.storage.store.store_samples import DAY_NS, MINUTE_NS, START_NS

SECOND_NS = 1_000_000_000


def cells(
    n_rows: list[int], n_expected: int = 0, width_ns: int = MINUTE_NS, bad: tuple[int, ...] = ()
) -> Coverage:
    """Whole cells from the first minute of 2022 on, bad time in the cells `bad`."""
    n = len(n_rows)
    bad_ns: IntArray = np.zeros(n, dtype=np.int64)
    bad_ns[list(bad)] = 1
    return Coverage(
        width_ns=width_ns,
        edges_ns=START_NS + np.arange(n + 1) * width_ns,
        n_rows=np.array(n_rows),
        n_expected=np.full(n, n_expected),
        bad_ns=bad_ns,
    )


def test_only_a_complete_column_is_full_and_only_an_empty_one_is_blank() -> None:
    assert levels(cells([1_000, 999, 500, 1, 0], n_expected=1_000)) == [16, 15, 8, 1, 0]


def test_rows_without_an_expectation_are_on_a_logarithmic_scale() -> None:
    assert levels(cells([10**8 - 1, 10**4 - 1, 1, 0])) == [16, 8, 1, 0]


def test_a_drawing_is_read_off_by_hand() -> None:
    shown, drawing = draw(cells([4, 4, 2, 0, 3], n_expected=4, bad=(2, 3)), 20)
    assert shown.n_cells == 5
    assert drawing.n_chars == 4
    assert drawing.blocks[0] == "████████        ▄▄▄▄"
    assert drawing.blocks[1] == "████████████    ████"
    assert drawing.marks == f"        {MARK * 8}    "
    assert drawing.axis == "┴" + "─" * 19
    assert drawing.labels == "2022-01-01 00:00:00"


def test_a_terminal_without_blocks_gets_plain_characters() -> None:
    _, drawing = draw(cells([4, 4, 2, 0, 3], n_expected=4, bad=(2,)), 60, ascii_only=True)
    assert "".join((*drawing.blocks, drawing.marks, drawing.axis, drawing.labels)).isascii()
    assert drawing.blocks[1].startswith("#" * 24)


@pytest.mark.parametrize("n_columns", [20, 61, 99, 100, 300])
@pytest.mark.parametrize("n_cells", [1, 3, 97, 998])
def test_a_drawing_never_outgrows_its_columns(n_columns: int, n_cells: int) -> None:
    shown, drawing = draw(cells([1] * n_cells, n_expected=1), n_columns)
    lengths = {len(line) for line in (*drawing.blocks, drawing.marks, drawing.axis)}
    assert lengths == {shown.n_cells * drawing.n_chars}
    assert max(lengths) <= n_columns
    assert len(drawing.labels) <= max(max(lengths), 19)
    assert int(shown.n_rows.sum()) == n_cells


@pytest.mark.parametrize(
    ("width_ns", "expected"),
    [
        (SECOND_NS // 100, "00:00:00.400"),
        (SECOND_NS, "00:00:45"),
        (MINUTE_NS, "01:00"),
        (60 * MINUTE_NS, "01-02"),
        (DAY_NS, "2022-02"),
        (16 * DAY_NS, "2023-01"),
        (128 * DAY_NS, "2035"),
    ],
)
def test_ticks_stand_at_round_times_at_every_scale(width_ns: int, expected: str) -> None:
    _, drawing = draw(cells([1] * 90, width_ns=width_ns), 90)
    assert expected in drawing.labels
    assert drawing.labels.startswith("2022-01-01 00:00")
    at = drawing.labels.index(expected) + len(expected) // 2
    assert drawing.axis[at] == "┴"
