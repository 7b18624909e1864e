"""The page of a sweep: its numbers are the sweep's, whatever the shape of it, and nothing hostile lives on it."""

import math
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from msgspec.structs import replace

from njord.core.errors import DataError
from njord.research import sweep_page_map
from njord.research.axes import Axis
from njord.research.sweep_page import write_page
from njord.research.sweep_page_metrics import metric_of
from njord.research.sweep_result import RESULT, TABLE
from tests.unit.research.page_samples import HOSTILE, REPORT, check_drawn, data_of, text_of, write_sweep

FAST = Axis("fast", ("5", "10", "15"))
SLOW = Axis("slow", ("30", "60", "90", "120"))


def hill(fast: int, slow: int) -> float:
    return 4.0 - (fast - 1) ** 2 - (slow - 2) ** 2


def drawn(folder: Path) -> str:
    page = write_page(folder).read_text(encoding="utf-8")
    check_drawn(page)
    return page


def test_every_point_stands_on_the_map_with_its_own_value(tmp_path: Path) -> None:
    write_sweep(tmp_path, (FAST, SLOW), hill)
    data = data_of(drawn(tmp_path))
    assert [axis["labels"] for axis in data["axes"]] == [list(FAST.values), list(SLOW.values)]
    fast, slow = data["points"]["cells"]
    assert data["points"]["values"][0] == [hill(a, b) for a, b in zip(fast, slow, strict=True)]
    assert len({*zip(fast, slow, strict=True)}) == 12
    assert data["best"] == [1, 2] and data["near"] == [[0, 2], [1, 3]]
    names = [metric["name"] for metric in data["metrics"]]
    assert data["points"]["values"][names.index("profit factor")] == [None] * 12, "infinity is no JSON"


def test_the_verdict_and_both_twins_stand_on_top(tmp_path: Path) -> None:
    write_sweep(tmp_path, (FAST, SLOW), hill)
    text = text_of(drawn(tmp_path))
    assert (
        "Overfit Luck explains it. The best of 12 points, fast=10 slow=90, has a Sharpe of 4.00 in sample, and of "
        "\N{MINUS SIGN}4.12 on the hold-out, which the search never saw." in text
    )
    assert "Deflated Sharpe 0.31" in text and "40" in text and "62%" in text
    assert "1 10 90 4.00 \N{MINUS SIGN}4.12 0.75 +4.00% \N{MINUS SIGN}4.12%" in text
    assert "best by luck of 40: 9.50" in text and "the best: 4.00" in text
    assert "ordered engine: daily_loss" in text and "Refused by the strategy itself, and never run 2" in text


@pytest.mark.parametrize(
    ("verdict", "word"), [("holds", "Holds"), ("not shown", "Not shown"), (None, "Not judged")]
)
def test_each_verdict_has_its_word(verdict: str | None, word: str, tmp_path: Path) -> None:
    report = None if verdict is None else REPORT | {"verdict": verdict, "because": "So it is."}
    write_sweep(tmp_path, (FAST, SLOW), hill, honesty=report)
    said = "Nobody has counted its trials." if verdict is None else "So it is."
    assert f"{word} {said}" in text_of(drawn(tmp_path))


def test_looks_at_the_hold_out_stand_beside_the_trials(tmp_path: Path) -> None:
    write_sweep(tmp_path, (FAST, SLOW), hill, honesty=REPORT | {"n_held_out": 3})
    assert "Looks at the hold-out trials more, for whatever is tried next 3 Best by luck" in text_of(
        drawn(tmp_path)
    )
    write_sweep(tmp_path, (FAST, SLOW), hill, honesty=REPORT | {"n_held_out": 0})
    assert "Looks at the hold-out" not in text_of(drawn(tmp_path))


def test_without_a_hold_out_it_says_that_every_number_flatters(tmp_path: Path) -> None:
    result = write_sweep(tmp_path, (FAST, SLOW), hill)
    top = tuple(replace(twin, outside=None) for twin in result.top)
    write_sweep(tmp_path, (FAST, SLOW), hill, holdout=None, top=top)
    text = text_of(drawn(tmp_path))
    assert "No part of the data was held out: every number here flatters." in text
    assert "hold-out none" in text and "Return, in" not in text


def test_rings_tell_how_the_objective_falls_around_the_best(tmp_path: Path) -> None:
    write_sweep(tmp_path, (FAST, SLOW), hill)
    ring = [hill(a, b) for a in range(3) for b in range(4) if max(abs(a - 1), abs(b - 2)) == 1]
    text = text_of(drawn(tmp_path))
    assert f"1 away {len(ring)} {max(ring):.2f} {mean(ring):.2f} {min(ring):.2f} 100%" in text
    assert f"2 away 3 {hill(1, 0):.2f}" in text


def test_many_points_are_counted_together_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_page_map, "NUMBERS_MAX", 27)
    axes = (FAST, SLOW, Axis("hold", ("1", "2")))

    def value(fast: int, slow: int, hold: int) -> float:
        return hill(fast, slow) - 0.5 * (1 - hold)

    write_sweep(tmp_path, axes, value)
    page = drawn(tmp_path)
    data = data_of(page)
    assert [pair["pair"] for pair in data["pairs"]] == [[0, 1], [0, 2], [1, 2]]
    assert "are more than the page holds one by one" in text_of(page)
    n_numbers = sum(len(grid) for pair in data["pairs"] for grids in pair["grids"].values() for grid in grids)
    assert n_numbers == 27
    # One cell an axis is left: it holds the best, the mean, and what lies at the best point's own values.
    everything = [value(a, b, c) for a in range(3) for b in range(4) for c in range(2)]
    grids = data["pairs"][0]["grids"]
    assert grids["best"][0] == [max(everything)]
    assert grids["mean"][0] == [pytest.approx(mean(everything), rel=1e-4)]
    assert grids["at"][0] == [max(value(a, b, 1) for a in range(3) for b in range(4))]


def test_cells_of_a_pair_hold_their_own_points_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_page_map, "NUMBERS_MAX", 60)
    write_sweep(tmp_path, (FAST, SLOW), lambda fast, slow: 10.0 * fast + slow, failed=[11])
    data = data_of(drawn(tmp_path))
    assert [len(axis["labels"]) for axis in data["axes"]] == [3, 3]
    assert data["axes"][1]["labels"] == ["30", "90", "120"] and data["axes"][1]["ends"] == ["60", "90", "120"]
    found = data["pairs"][0]["grids"]
    assert found["best"][0] == [1, 2, 3, 11, 12, 13, 21, 22, None]
    assert found["mean"][0] == [0.5, 2, 3, 10.5, 12, 13, 20.5, 22, None]


def test_where_less_is_better_the_best_is_the_least() -> None:
    assert [metric_of(name).better for name in ("max_drawdown", "volatility", "sharpe")] == [-1, -1, 1]
    assert metric_of("max_drawdown").say(0.1234).text == "12.34%"
    assert metric_of("sharpe").say(-1.0).text == "\N{MINUS SIGN}1.00"
    assert metric_of("n_trips").say(12.0).text == "12"
    assert metric_of("sharpe").say(math.nan).tone == "undefined"


@pytest.mark.parametrize("axis", [FAST, Axis("mode", ("a", "b")), Axis("alone", ("1",))])
def test_one_parameter_is_a_line(axis: Axis, tmp_path: Path) -> None:
    write_sweep(tmp_path, (axis,), lambda place: float(place))
    page = drawn(tmp_path)
    data = data_of(page)
    assert "Along the parameter" in text_of(page)
    assert data["points"]["values"][0] == [float(place) for place in range(len(axis.values))]


def test_a_sweep_of_failures_has_a_page(tmp_path: Path) -> None:
    write_sweep(tmp_path, (FAST, SLOW), hill, failed=range(12), honesty=None)
    page = drawn(tmp_path)
    assert data_of(page)["points"]["values"][0] == [None] * 12 and data_of(page)["best"] is None
    text = text_of(page)
    assert "No point has a value to rank by." in text and "12 &lt;/script&gt;" in text


def test_points_without_any_value_have_a_page(tmp_path: Path) -> None:
    undefined: dict[str, Any] = {name: None for name, value in REPORT.items() if isinstance(value, float)} | {
        "logits": []
    }
    report = REPORT | undefined | {"verdict": "not shown", "periods_per_year": 525_600.0}
    write_sweep(tmp_path, (FAST, SLOW), lambda fast, slow: math.nan, honesty=report)
    assert "undefined" in text_of(drawn(tmp_path))


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    axes = (Axis(HOSTILE, (HOSTILE, "b")), Axis("x", ("1", "2")))
    changes = {name: HOSTILE for name in ("strategy", "symbol", "data", "label", "why_ordered")}
    write_sweep(
        tmp_path, axes, hill, failed=[0], shared=(HOSTILE,), honesty=REPORT | {"because": HOSTILE}, **changes
    )
    page = drawn(tmp_path)
    assert data_of(page)["axes"][0]["name"] == HOSTILE
    assert page.count("</script>") == 4, "the data and three scripts end, and nothing else does"


def test_a_folder_without_a_finished_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no finished sweep"):
        write_page(tmp_path)
    write_sweep(tmp_path, (FAST, SLOW), hill)
    (tmp_path / TABLE).unlink()
    with pytest.raises(DataError, match=f"has lost its {TABLE}"):
        write_page(tmp_path)
    assert (tmp_path / RESULT).is_file()
