"""`njord backtest --engine`: fast, or both compared; what the fast one can not express is named, and scores are equal."""

import json
import math
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from njord.adapters.config_loader import load_config
from njord.backtest.fast_points import FastEvaluator
from njord.backtest.ordered_points import OrderedEvaluator
from njord.backtest.point import Score, Window, point_spec
from njord.backtest.points import open_evaluator
from njord.backtest.session import BacktestRequest
from njord.cli import run
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_MINUTE
from njord.strategies.library import sma_cross
from tests.golden.market import START_NS
from tests.unit.backtest.poison_run import write_market

pytestmark = pytest.mark.integration
LEVELS = Path(__file__).parents[1] / "property" / "compiled_levels.py"
RAISES = '''
from njord.strategies import StrategyParams
from njord.strategies.compiled import CompiledStrategy, FloatArray, Now, Values, decision


class Raises(CompiledStrategy):
    """Looks where it has no state, at bar 50."""

    class Params(StrategyParams, frozen=True):
        pass

    def indicators(self):
        return {}

    @decision
    def decide(now: Now, values: Values, state: FloatArray, params: FloatArray) -> int:
        return 1 if now.n_bars == 50 and state[3] > 0 else 0
'''


ETH = "another instrument"
CONFIGURED = "by a file of the configuration"
FILES = {
    "fee_tiers": (
        "config/base.yaml",
        "backtest:\n  fee_tiers:\n    - {volume_notional: 0, maker_bps: 1, taker_bps: 2}\n",
    ),
    "filters": (
        "config/instruments/coin.yaml",
        "symbol: BTC/USDT\nvenue: here\nbase: BTC\nquote: USDT\ntick_size: 1\nlot_size: 0.0001\n"
        "filter_changes:\n  - {from: 2024-01-01T01:00:00Z, min_notional: 5}\n",
    ),
    "limits": (
        "config/instruments/coin.yaml",
        "symbol: BTC/USDT\nvenue: here\nbase: BTC\nquote: USDT\ntick_size: 1\nlot_size: 0.0001\nbuy_band: [0.2, 5]\n",
    ),
}


def arranged(words: tuple[str, ...], data: Path, root: Path) -> tuple[str, ...]:
    """Return what is typed, after the files that it speaks of are there."""
    if ETH in words:
        other = write_market(root / "ETH_USDT-1m.csv", n_bars=900)
        return tuple(str(other) if word == ETH else word for word in words)
    if CONFIGURED in words:
        name, text = FILES[words[-1]]
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
        return words[: words.index(CONFIGURED)]
    return words


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("data") / "BTC_USDT-1m.csv", n_bars=900)


def backtest(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, dict[str, object]]:
    code = run(["backtest", *words, "--root", str(root), "--json", "-", "--poison", "off"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


def test_the_fast_engine_leaves_the_result_of_the_ordered_one(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("sma_cross", "--data", str(data), "--param", "fast=3", "--param", "slow=9")
    results = [
        backtest(capsys, tmp_path, *asked, "--engine", name)[1] for name in ("ordered", "fast", "both")
    ]
    assert [result["engine"]["name"] for result in results] == ["ordered", "fast", "ordered"]  # type: ignore[index]
    assert results[2]["engine"]["agrees"]  # type: ignore[index]
    assert results[1]["journal"] == {"n_messages": 0, "head": ""}
    for result in results:
        for apart in ("engine", "journal", "trial"):
            del result[apart]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("grid",), "strategy grid is not a CompiledStrategy"),
        (("sma_cross", "--slippage-model", "linear"), "slippage_model linear"),
        (("sma_cross", "--account", "margin", "--leverage", "3"), "leverage 3"),
        (("sma_cross", "--set", "backtest.fee_asset=received"), "fee_asset received"),
        (("sma_cross", "--max-volume-share", "0.1"), "max_volume_share"),
        (("sma_cross", "--latency-ms", "60000"), "entry_latency_ns of a bar or more"),
        (("sma_cross", "--risk-profile", "paper"), "risk rule cool_down"),
        (("sma_cross", "--param", "weight=0.12345678901234567"), "MONEY_RANGE"),
        (("sma_cross", "--slippage-bps", "0.1234567890123456"), "MONEY_RANGE"),
        (("sma_cross", "--capital", "1000000000000000"), "MONEY_RANGE"),
        (("sma_cross", "--slippage-model", "square_root"), "slippage_model square_root"),
        (("sma_cross", "--account", "perpetual"), "account perpetual: funding and liquidation"),
        (("sma_cross", "second=sma_cross"), "several instruments or strategies"),
        (("sma_cross", "--data", ETH), "several instruments or strategies"),
        (("sma_cross", CONFIGURED, "fee_tiers"), "fee_tiers"),
        (("sma_cross", CONFIGURED, "filters"), "filters that change over time"),
        (("sma_cross", CONFIGURED, "limits"), "a venue's limits on market orders, open orders or prices"),
        (("limit_entry", "--risk-profile", "paper"), "risk rule cool_down"),
        (("limit_entry", "--slippage-model", "linear"), "slippage_model linear"),
    ],
)
def test_what_the_fast_engine_can_not_express_runs_on_the_ordered_one_and_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str
) -> None:
    words = arranged(words, data, tmp_path)
    for engine in ("fast", "both"):
        code, result = backtest(capsys, tmp_path, *words, "--data", str(data), "--engine", engine)
        assert code == 0
        assert result["engine"]["name"] == "ordered"  # type: ignore[index]
        assert reason in result["engine"]["why_ordered"]  # type: ignore[index]
        assert result["journal"]["n_messages"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((CONFIGURED, "fee_tiers"), "fee_tiers"),
        (("backtest.account=perpetual",), "account perpetual: funding and liquidation"),
        (("backtest.risk_profile=paper",), "risk rule cool_down"),
        (("backtest.max_volume_share=0.1",), "max_volume_share"),
    ],
)
def test_points_that_the_fast_engine_can_not_express_are_evaluated_on_the_ordered_one_which_says_why(
    data: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    settings = dict(word.split("=") for word in arranged(words, data, tmp_path))
    spec = point_spec(
        BacktestRequest(strategy="sma_cross", data=data), load_config(tmp_path, settings, {}).config, {}
    )
    with pytest.raises(ConfigError, match=f"the fast engine can not run this: {reason}"):
        open_evaluator(spec, "fast")
    evaluator = open_evaluator(spec, "auto")
    assert (evaluator.engine, evaluator.why_ordered) == ("ordered", reason)
    evaluator.close()


def test_an_unknown_engine_is_refused_in_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["backtest", "sma_cross", "--data", str(data), "--engine", "quick", "--root", str(tmp_path)])
    assert code == 2
    assert capsys.readouterr().err == (
        "njord: --engine must be one of ordered, fast, both, was 'quick'; use --engine ordered\n"
    )


def test_a_compiled_strategy_that_looks_beyond_its_state_is_suspended_with_its_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raises.py").write_text(RAISES)
    words = (str(tmp_path / "raises.py"), "--data", str(data))
    code, result = backtest(capsys, tmp_path, *words, "--engine", "fast")
    assert code == 3
    assert result["engine"]["why_ordered"] == "the strategy raised IndexError"  # type: ignore[index]
    assert "IndexError" in str(result["error"])


@pytest.mark.long
def test_one_file_may_be_loaded_by_name_and_by_path_in_turn(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "cross.py"
    shutil.copy(sma_cross.__file__, own)
    program = "import sys; from njord.cli import run; sys.exit(run(sys.argv[1:]))"
    for name in ("sma_cross", sma_cross.__file__, str(own), "sma_cross", str(own)):
        words = ["backtest", name, "--data", str(data), "--engine", "both", "--poison", "off", "--json", "-"]
        done = subprocess.run(
            [sys.executable, "-c", program, *words, "--root", str(tmp_path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["engine"]["agrees"]


def same(ours: Score, theirs: Score) -> None:
    """Compare scores: whole numbers to the letter, floats to what another order of additions may change."""
    for name in ours.__struct_fields__:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if name == "engine":
            continue
        if name == "blocks":
            assert [block[0] for block in mine] == [block[0] for block in other]
            mine, other = (sum((block[1:] for block in blocks), ()) for blocks in (mine, other))
            assert mine == pytest.approx(other, rel=1e-9, abs=1e-13)
        elif isinstance(mine, float):
            assert math.isclose(mine, other, rel_tol=1e-9, abs_tol=1e-12) or (
                mine != mine and other != other
            ), name
        else:
            assert mine == other, name


@pytest.mark.parametrize("is_later", [False, True])
@pytest.mark.parametrize(
    ("strategy", "points"),
    [
        ("sma_cross", [{"fast": f, "slow": s} for f in ("2", "5") for s in ("7", "30")]),
        (
            "sma_cross",
            [{"fast": "9", "slow": "3"}, {"fast": "3", "slow": "9", "weight": "0.12345678901234567"}],
        ),
        (str(LEVELS), [{"wanted": "[1,102,0,100]", "warm": "3"}, {"wanted": "[101,99,-4]", "qty": "0.5"}]),
    ],
)
def test_points_score_the_same_on_both_engines_in_any_order_and_thread(
    data: Path, strategy: str, points: list[dict[str, str]], is_later: bool
) -> None:
    config = load_config(Path("/nonexistent"), {"backtest.account": "margin"}, {}).config
    spec = point_spec(BacktestRequest(strategy=strategy, data=data), config, {})
    window = Window(start_ns=START_NS + 300 * NS_PER_MINUTE) if is_later else Window()
    typed = [tuple(point.items()) for point in points]
    fast, ordered = FastEvaluator(spec), OrderedEvaluator(spec)
    scores, expected = fast.evaluate(typed, window), ordered.evaluate(typed, window)
    for ours, theirs in zip(scores, expected, strict=True):
        same(ours, theirs)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda point: fast.evaluate([point], window)[0], [*typed * 5]))
    assert again == scores * 5 or str(again) == str(scores * 5)
    fast.close()
    ordered.close()
