"""A point is a backtest: the same figures on the same bars; windows, refusals and failures make scores of their own."""

import math
import pickle
from pathlib import Path

import pytest

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest.point import WHOLE, Params, PointSpec, Window, point_spec
from njord.backtest.points import EngineChoice, open_evaluator
from njord.backtest.request import BacktestRequest
from njord.backtest.session import prepare, run_backtest
from njord.core.config import RedisConfig
from njord.core.errors import DataError

pytestmark = pytest.mark.integration

N_BARS = 400
NS_PER_MIN = 60_000_000_000
RAISES = """
from njord.strategies import Strategy


class Raises(Strategy):
    def on_bar(self, ctx, bar):
        if ctx.n_bars == 50:
            raise ValueError("the fiftieth bar")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("points") / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(path, N_BARS, 7)
    return path


def spec_of(data: Path, strategy: str = "sma_cross", n_blocks: int = 16) -> PointSpec:
    request = BacktestRequest(strategy=strategy, data=data)
    return point_spec(request, load_config(data.parent, {}, {}).config, {}, n_blocks)


def point(fast: int, slow: int) -> Params:
    return (("fast", f"{fast}"), ("slow", f"{slow}"))


def start_ns(data: Path) -> int:
    evaluator = open_evaluator(spec_of(data), "ordered")
    (score,) = evaluator.evaluate([point(5, 20)])
    evaluator.close()
    first = data.read_text().splitlines()[1].split(",")[0]
    assert score.n_bars == N_BARS
    return int(first) * 1_000_000 if len(first) == 13 else int(first) * 1_000_000_000


def test_a_point_says_what_the_backtest_of_its_parameters_says(data: Path, tmp_path: Path) -> None:
    config = load_config(tmp_path, {}, {}).config
    request = BacktestRequest(strategy="sma_cross", data=data, params=("fast=5", "slow=20"))
    prepared = prepare(request, config, {})
    with prepared.market:
        result = run_backtest(prepared, tmp_path / "reports").result
    evaluator = open_evaluator(spec_of(data), "ordered")
    (score,) = evaluator.evaluate([point(5, 20)])
    evaluator.close()
    assert score.n_fills == len(result.fills) > 0
    assert score.n_orders == result.n_orders
    assert score.n_trips == len(result.round_trips)
    assert score.final_equity == float(result.final_equity)
    assert score.fees == float(result.fees)
    assert score.sharpe == pytest.approx(result.stats["bar"]["sharpe"], rel=1e-12)
    assert score.skew == pytest.approx(result.stats["bar"]["skew"], rel=1e-9)
    assert score.kurtosis == pytest.approx(result.stats["bar"]["kurtosis"], rel=1e-9)
    assert score.max_drawdown == result.stats["max_drawdown"]
    assert score.win_rate == result.stats["trades"]["win_rate"]
    assert score.exposure == result.stats["exposure"]


def test_blocks_are_equal_runs_of_bars_and_add_up_to_the_score(data: Path) -> None:
    evaluator = open_evaluator(spec_of(data, n_blocks=6), "ordered")
    (score,) = evaluator.evaluate([point(5, 20)])
    evaluator.close()
    counts = [n for n, _, _ in score.blocks]
    assert sum(counts) == N_BARS
    assert max(counts) - min(counts) <= 1
    n, total, squares = (sum(block[place] for block in score.blocks) for place in range(3))
    deviation = math.sqrt((squares - total * total / n) / (n - 1))
    assert score.sharpe == pytest.approx(total / n / deviation * math.sqrt(365 * 24 * 60), rel=1e-9)


def test_a_window_trades_only_inside_and_is_warm_at_its_first_bar(data: Path) -> None:
    evaluator = open_evaluator(spec_of(data), "ordered")
    cut_ns = start_ns(data) + 200 * NS_PER_MIN  # The close of bar 199, counted from 0.
    (whole,) = evaluator.evaluate([point(5, 20)], WHOLE)
    inside, outside = (
        evaluator.evaluate([point(5, 20)], window)[0]
        for window in (Window(end_ns=cut_ns), Window(start_ns=cut_ns))
    )
    # Fifteen bars are fewer than the warm-up of twenty: who trades in them was warm before.
    starts_ns = (cut_ns + bars * NS_PER_MIN for bars in range(0, 180, 15))
    short = [
        evaluator.evaluate([point(5, 20)], Window(start, start + 15 * NS_PER_MIN))[0] for start in starts_ns
    ]
    evaluator.close()
    assert inside.n_bars + outside.n_bars == whole.n_bars
    assert outside.n_bars == 201
    assert 0 < outside.n_fills < whole.n_fills
    assert outside.blocks[0][0] == 12  # 201 * 1 // 16
    assert {score.n_bars for score in short} == {15}
    assert any(score.n_orders for score in short)


def test_no_bar_before_the_warm_up_of_a_window_changes_its_score(data: Path, tmp_path: Path) -> None:
    lines = data.read_text().splitlines()
    short = tmp_path / data.name
    short.write_text("\n".join([lines[0], *lines[1 + 180 :]]) + "\n")
    cut_ns = start_ns(data) + 200 * NS_PER_MIN
    scores = []
    for path in (data, short):
        evaluator = open_evaluator(spec_of(path), "ordered")
        scores += evaluator.evaluate([point(5, 20)], Window(start_ns=cut_ns))
        evaluator.close()
    assert scores[0].n_fills > 0
    assert scores[0] == scores[1]


@pytest.mark.parametrize("engine", ["ordered", "fast"])
def test_windows_score_the_same_in_whatever_order_they_come(engine: EngineChoice, data: Path) -> None:
    first_ns, points = start_ns(data), [point(5, 20), point(10, 60)]
    windows = [
        Window(first_ns + first * NS_PER_MIN, first_ns + end * NS_PER_MIN)
        for first, end in ((250, 400), (100, 250), (0, 150), (250, 300))
    ]
    evaluator = open_evaluator(spec_of(data), engine)
    together = [evaluator.evaluate(points, window) for window in windows]
    evaluator.close()
    for window, scores in zip(windows, together, strict=True):
        alone = open_evaluator(spec_of(data), engine)
        assert str(alone.evaluate(points, window)) == str(scores)  # NaN is NaN.
        alone.close()
        assert any(score.n_fills for score in scores)


def test_a_window_without_bars_is_refused_in_one_line(data: Path) -> None:
    evaluator = open_evaluator(spec_of(data), "ordered")
    with pytest.raises(DataError, match="no bars in the window from"):
        evaluator.evaluate([point(5, 20)], Window(start_ns=start_ns(data) + 10_000 * NS_PER_MIN))
    evaluator.close()


def test_refused_parameters_are_a_score_and_the_next_point_is_evaluated(data: Path) -> None:
    evaluator = open_evaluator(spec_of(data), "ordered")
    told: list[int] = []
    refused, good = evaluator.evaluate([point(30, 20), point(5, 20)], on_done=told.append)
    evaluator.close()
    assert "slow must be > fast (30), was 20" in refused.error
    assert refused.blocks == () and math.isnan(refused.sharpe)
    assert not good.error and good.n_fills
    assert told == [1, 2]


def test_a_strategy_that_raises_is_a_score_with_its_error(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "raises.py"
    path.write_text(RAISES)
    evaluator = open_evaluator(spec_of(data, str(path)), "ordered")
    (score,) = evaluator.evaluate([()])
    evaluator.close()
    assert "the fiftieth bar" in score.error
    assert score.n_bars == N_BARS


def test_scores_do_not_depend_on_how_points_are_split_over_calls(data: Path) -> None:
    points = [point(5, 20), point(10, 40), point(5, 20)]
    evaluator = open_evaluator(spec_of(data), "ordered")
    together = evaluator.evaluate(points)
    apart = [evaluator.evaluate([each])[0] for each in reversed(points)][::-1]
    evaluator.close()
    assert together == apart
    assert together[0] == together[2]


def test_what_a_worker_is_sent_holds_no_secret_and_no_relative_path(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    config = load_config(data.parent, {"redis.url": "redis://user:hunter2@127.0.0.1:6379/0"}, {}).config
    spec = point_spec(BacktestRequest(strategy="sma_cross", data=Path(data.name)), config, {})
    sent = pickle.dumps(spec)
    assert b"hunter2" not in sent
    assert spec.config.redis == RedisConfig()
    assert pickle.loads(sent) == spec
    assert spec.request.paths == (data,)
