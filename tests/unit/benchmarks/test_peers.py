"""The comparison with peers: medians, ratios in the right direction, and that all must come to the same."""

from pathlib import Path

import pytest

from benchmarks.peers.__main__ import main
from benchmarks.peers.contenders import Contender, Work
from benchmarks.peers.process import Missing, asked
from benchmarks.peers.summary import disagreements, ratios, rows, summarize

OURS, THEIRS = Contender("njord fast", "w1_fused", ()), Contender("peer", "w1_vectorbt", (), "vectorbt")
WORK = Work("a work", "bar", (OURS, THEIRS), {"orders": 0, "equity": 1e-5}, "seeded")


def _run(wall_s: float, equity: float = 100.0, **came_to: object) -> dict[str, object]:
    return {
        "wall_s": wall_s,
        "cpu_s": wall_s / 2,
        "peak_rss_mib": 7,
        "came_to": {"orders": 2, "equity": equity, **came_to},
    }


def _found(ours: float = 100.0, theirs: float = 100.0, **came_to: object) -> dict[str, dict[str, object]]:
    said = {"units": 1_000, "version": "v", "first_s": 1.0}
    return {
        "njord fast": summarize(said, [_run(each, ours, **came_to) for each in (0.004, 0.001, 0.002)]),
        "peer": summarize(said, [_run(0.05, theirs)]),
    }


def test_a_figure_is_the_median_of_the_rounds_with_the_lowest_and_highest() -> None:
    figures = _found()["njord fast"]
    assert (figures["ns_per_unit"], figures["lowest"], figures["highest"]) == (2_000.0, 1_000.0, 4_000.0)
    assert (figures["cpu_ns_per_unit"], figures["cpu_per_wall"], figures["n"]) == (1_000.0, 0.5, 3)


def test_a_ratio_says_how_many_times_as_fast_ours_is() -> None:
    assert ratios(WORK, _found()) == {"njord fast": {"peer": 25.0}}
    assert "njord fast is 25.00x as fast as peer" in "\n".join(rows(WORK, _found(), {}))


def test_known_differences_pass_and_others_are_named() -> None:
    assert disagreements(WORK, _found(100.0, 100.0009)) == []
    assert disagreements(WORK, _found(100.0, 100.002)) == [
        "peer came to equity 100.002, njord fast to 100.0: more than 1e-05 apart"
    ]
    assert disagreements(WORK, _found(100.0, float("nan"))) != []


def test_two_order_lists_of_ours_are_a_difference() -> None:
    found = _found(order_list_hash="a")
    found["peer"]["order_list_hash"] = "b"
    assert disagreements(WORK, found) == ["the order lists differ: njord fast, peer"]


def test_a_peer_without_an_environment_says_how_to_make_one(tmp_path: Path) -> None:
    with (
        pytest.raises(Missing, match=r"no environment; next: scripts/make_peers\.sh \S+ vectorbt"),
        asked(THEIRS, tmp_path),
    ):
        pass
    shown = list(rows(WORK, {"njord fast": _found()["njord fast"]}, {"peer": "no environment"}))
    assert "peer" in shown[1] and "missing: no environment" in shown[1]


@pytest.mark.parametrize("words", [["W9"], ["--runs", "0"], ["--peers", "nowhere-to-be-found"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "W1 W2 W3 W4 W5" in capsys.readouterr().err or words[0] != "W9"
