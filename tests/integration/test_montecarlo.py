"""Monte Carlo as a whole: against closed forms and numpy, and as a verb on real runs, whoever does the work."""

import json
import math
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from njord.backtest.market_open import MarketRequest, open_market
from njord.cli import run as main_run
from njord.performance.returns import FloatArray
from njord.research.montecarlo import Question, answer, encode_result, folder_of
from njord.research.montecarlo_bins import RelativeBins
from njord.research.montecarlo_bootstrap import Follower, Plan, bootstrap
from njord.research.montecarlo_market import DrawnMarkets
from njord.research.montecarlo_rerun import run_path
from njord.research.montecarlo_run import read_run
from njord.research.montecarlo_shake import Shake, parse_jitter
from njord.storage.bars_options import BarOptions
from tests.integration.dask_cluster import cluster, dies_once
from tests.unit.backtest.poison_run import write_market
from tests.warm_njord import warm_njord

pytestmark = pytest.mark.integration

NJORD = str(Path(sys.executable).with_name("njord"))
FACTORS = np.random.default_rng(4).normal(1.0005, 0.01, 300)


def njord(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([warm_njord(), *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


def ends(factors: FloatArray, plan: Plan) -> FloatArray:
    return Follower(factors, plan, plan.n_paths).paths(0, plan.n_paths).ends


def distance(one: FloatArray, other: FloatArray) -> float:
    """The two-sample Kolmogorov-Smirnov statistic times sqrt(n m / (n + m)): 1.95 is exceeded once in 1,000."""
    every = np.concatenate((one, other))
    shares = (np.searchsorted(np.sort(each), every, side="right") / each.size for each in (one, other))
    return float(
        np.abs(np.subtract(*shares)).max() * math.sqrt(one.size * other.size / (one.size + other.size))
    )


# --- against what is known ---


def test_the_mean_of_the_product_is_the_product_of_the_means() -> None:
    n_paths, n_steps = 200_000, 50
    final = ends(FACTORS, Plan(n_paths=n_paths, n_steps=n_steps, seed=1))[0]
    first, second = FACTORS.mean(), (FACTORS**2).mean()
    error = math.sqrt((second**n_steps - first ** (2 * n_steps)) / n_paths)
    assert abs(final.mean() - first**n_steps) < 3.3 * error
    told = bootstrap(FACTORS, Plan(n_paths=n_paths, n_steps=n_steps, seed=1)).figures(1.0).final_equity
    assert told.mean == pytest.approx(final.mean(), rel=told.resolution)


@pytest.mark.long
@pytest.mark.parametrize("block", [1.0, 1.0 + 1e-9, 12.0])
def test_paths_are_distributed_like_those_of_a_plain_numpy_bootstrap(block: float) -> None:
    n_paths, n_steps = 4_000, 250
    ours = ends(FACTORS, Plan(n_paths=n_paths, n_steps=n_steps, seed=2, block=block))
    random = np.random.default_rng(9)
    rows = random.integers(0, FACTORS.size, (n_paths, n_steps))
    begins = random.random((n_paths, n_steps)) < 1 / block
    for step in range(1, n_steps):
        following = (rows[:, step - 1] + 1) % FACTORS.size
        rows[:, step] = np.where(begins[:, step], rows[:, step], following)
    equity = np.cumprod(FACTORS[rows], axis=1)
    peak = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    under = np.zeros(n_paths)
    longest = np.zeros(n_paths)
    for step in range(n_steps):
        under = np.where(equity[:, step] < peak[:, step], under + 1, 0)
        longest = np.maximum(longest, under)
    theirs = (equity[:, -1], np.minimum(equity.min(axis=1), 1.0), (equity / peak).min(axis=1), longest)
    for own, other in zip(ours, theirs, strict=True):
        assert distance(own, other) < 1.95


def test_blocks_keep_the_dependence_that_single_draws_lose() -> None:
    random = np.random.default_rng(6)
    returns = np.convolve(random.normal(0, 0.01, 2_004), np.ones(5) / 5, "valid")
    spreads = [
        np.log(ends(1 + returns, Plan(n_paths=4_000, n_steps=200, seed=1, block=block))[0]).std()
        for block in (1.0, 60.0)
    ]
    assert spreads[1] / spreads[0] == pytest.approx(math.sqrt(5), rel=0.12)


def test_intervals_of_percentiles_and_chances_hold_as_often_as_they_say() -> None:
    """400 samples of a normal whose percentiles are known; 95 % within +-3.3 standard deviations of a binomial."""
    n, n_samples = 500, 400
    points = {5: -1.6448536269514722, 50: 0.0, 95: 1.6448536269514722}
    held = dict.fromkeys(points, 0)
    for seed in range(n_samples):
        values = np.exp(0.2 * np.random.default_rng(seed).standard_normal(n))
        bins = RelativeBins(values[:64])
        bins.add(values)
        for each in bins.percentiles():
            if each.percent in points:
                assert each.low is not None and each.high is not None
                held[each.percent] += each.low <= math.exp(0.2 * points[each.percent]) <= each.high
    reach = 3.3 * math.sqrt(0.05 * 0.95 / n_samples)
    assert all(0.95 - reach <= count / n_samples for count in held.values()), held
    assert all(count / n_samples <= 0.97 + reach for count in held.values()), held


# --- the verb ---


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 1,500 bars, in its own root."""
    root = tmp_path_factory.mktemp("montecarlo")
    write_market(root / "BTC_USDT.csv", 1_500)
    said = njord(
        root, "backtest", "sma_cross", "--data", "BTC_USDT.csv", "--param", "fast=3", "--param", "slow=8",
        "--tick", "1", "--min-notional", "0", "--poison", "off", "--fee-bps", "1",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    (folder,) = (root / "var/reports").iterdir()
    return folder


def test_trades_in_their_own_order_end_where_the_run_did(run: Path) -> None:
    finished = read_run(run)
    product = float(np.prod(finished.trade_factors()))
    closed_ns = max(closed for _, closed, _ in finished.trips)
    settled = finished.equity[np.searchsorted(finished.ts_ns, closed_ns, side="right")]  # Known a bar later.
    assert product == pytest.approx(settled / finished.capital, rel=1e-9)
    assert float(np.prod(finished.bar_factors())) == pytest.approx(
        finished.equity[-1] / finished.capital, rel=1e-12
    )


def test_a_path_on_which_nothing_differs_is_the_run_itself(run: Path) -> None:
    finished = read_run(run)
    n = finished.equity.size
    ran = run_path(run.resolve(), Shake(), 1, 0, np.arange(1, n + 1))
    assert ran.paths is not None
    assert np.array_equal(
        ran.paths.fan[:, 0] * finished.capital, finished.equity / finished.capital * finished.capital
    )
    assert ran.trial is None


@pytest.mark.long
def test_the_same_question_gives_the_same_bytes_whoever_works(run: Path) -> None:
    said = {}
    for number, workers in enumerate(("1", "2", "1")):
        root = run.parents[2]
        asked = njord(
            root,
            "montecarlo",
            run.name,
            "--method",
            "trades-block",
            "--paths",
            "2000",
            "--workers",
            workers,
            "--json",
        )
        assert asked.returncode == 0, asked.stderr
        said[number] = asked.stdout
    assert len(set(said.values())) == 1
    result = json.loads(said[0])
    question = Question(method="trades-block", n_paths=2_000)
    assert (folder_of(run, question) / "montecarlo.json").read_text() == said[0]
    assert (result["seed"], result["n_paths"], result["is_block_automatic"]) == (42, 2_000, True)


def test_a_block_of_one_trade_is_the_plain_bootstrap(run: Path) -> None:
    plain = answer(run, Question(method="trades", n_paths=1_000)).result
    blocks = answer(run, Question(method="trades-block", n_paths=1_000, block=1.0)).result
    for name in ("final_equity", "max_drawdown", "under_water", "ruin", "loss", "fan"):
        assert getattr(plain, name) == getattr(blocks, name)


@pytest.mark.long
def test_runs_on_other_terms_are_the_same_in_one_process_and_in_two(run: Path) -> None:
    shake = Shake(
        jitter=parse_jitter(["fast=2", "slow=4"]), slippage_bps=(0.0, 30.0), delay_ms=(0.0, 180_000.0)
    )
    question = Question(method="rerun", n_paths=70, shake=shake)
    here, trials = answer(run, question, 1)
    there, same = answer(run, question, 2)
    assert encode_result(here) == encode_result(there)
    assert trials == same and len(trials) == here.n_paths
    assert here.n_refused > 0 and here.n_paths + here.n_refused == 70  # fast >= slow
    assert "slow must be > fast" in here.first_failure
    assert here.final_equity.minimum < here.final_equity.maximum


@pytest.mark.timeout(600)
def test_dask_gives_the_same_answer_though_a_worker_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    strategy = dies_once(tmp_path, mark)
    data = write_market(tmp_path / "BTC_USDT.csv", 600)
    asked = ["backtest", str(strategy), "--data", str(data), "--param", "fast=4", "--param", "slow=9"]
    assert (
        main_run([*asked, "--tick", "1", "--min-notional", "0", "--poison", "off", "--root", str(tmp_path)])
        == 0
    )
    (folder,) = (tmp_path / "var" / "reports").iterdir()
    shake = Shake(jitter=parse_jitter(["fast=2"]), slippage_bps=(0.0, 30.0))
    question = Question(method="rerun", n_paths=24, shake=shake)
    alone, trials = answer(folder, question, 1)
    assert not mark.exists()
    with cluster(tmp_path) as address:
        spread, same = answer(folder, question, address)
    assert mark.exists()
    assert encode_result(spread) == encode_result(alone)
    assert same == trials and len(trials) == alone.n_paths


def test_slippage_and_delays_cost_what_they_should(run: Path) -> None:
    def median(*slippage_bps: float) -> float:
        shake = Shake(slippage_bps=(slippage_bps[0], slippage_bps[1]))
        result = answer(run, Question(method="rerun", n_paths=8, shake=shake)).result
        return result.final_equity.percentiles[3].value

    cheap, dear = median(0.0, 0.1), median(49.0, 50.0)
    assert dear < cheap * 0.9
    late = answer(run, Question(method="rerun", n_paths=8, shake=Shake(delay_ms=(0.0, 600_000.0)))).result
    assert late.final_equity.minimum < late.final_equity.maximum


@pytest.mark.long
def test_runs_on_drawn_bars_are_runs_of_the_engine(run: Path) -> None:
    question = Question(method="market-block", n_paths=66, block=25.0)
    result, trials = answer(run, question)
    assert encode_result(answer(run, question, 2).result) == encode_result(result)
    assert (result.n_paths, result.block, trials) == (66, 25.0, ())
    assert result.final_equity.minimum < result.run.final_equity < result.final_equity.maximum


def _times_1000(row: str) -> str:
    stamp, *numbers = row.split(",")
    return ",".join([stamp, *(str(int(number) * 1_000) for number in numbers)])


def test_drawn_bars_take_the_same_rows_of_all_symbols(tmp_path: Path) -> None:
    small_file = write_market(tmp_path / "BTC_USDT.csv", 300)
    header, *rows = small_file.read_text().split()
    large_file = tmp_path / "ETH_USDT.csv"
    large_file.write_text("\n".join([header, *map(_times_1000, rows)]))
    request = MarketRequest(data=(small_file, large_file), bars=BarOptions(tick=Decimal(1)))
    with open_market(request, {}) as recorded:
        one, both = recorded.columns(0), DrawnMarkets(recorded)
    assert one is not None
    market = both.market(3, 7, 20.0)
    small, large = market.columns(0), market.columns(1)
    assert small is not None and large is not None
    assert not np.array_equal(small.close, one.close) and small.close[0] == one.close[0]
    assert np.abs(large.close / 1_000 - small.close).max() < 0.51
    assert np.array_equal(large.volume_lots, small.volume_lots * 1_000)
    assert (small.high >= np.maximum(small.open, small.close)).all()
    assert (small.low <= np.minimum(small.open, small.close)).all() and small.low.min() >= 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--method", "trade"), "--method trade is not known; did you mean 'trades'?"),
        (("--paths", "0"), "--paths takes 1 to 10,000,000, was 0; for example --paths 1000"),
        (("--seed", "-1"), "--seed takes 0 to"),
        (("--ruin", "1.5"), "--ruin takes a fraction between 0 and 1, was 1.5"),
        (("--block", "5"), "--block 5 is for a method that draws blocks"),
        (
            ("--method", "bars-block", "--block", "0.5"),
            "--block takes auto or a mean length of 1 or more, was 0.5",
        ),
        (("--method", "trades-block", "--block", "99999"), "--block 99999 is longer than the run, which has"),
        (("--method", "trades", "--jitter", "fast=1"), "--method trades does not; leave it out"),
        (("--jitter", "fats=1"), "did you mean 'fast'?"),
        (("--delays", "500"), "--delays 500 is less than a bar of 60,000 ms, which changes nothing"),
        (("--workers", "0"), "--workers"),
        (("--workers", "dask://x:1"), "a bootstrap runs on threads of this machine, not on dask://x:1"),
    ],
)
def test_wrong_flags_are_one_line(run: Path, flags: tuple[str, ...], says: str) -> None:
    asked = njord(run.parents[2], "montecarlo", run.name, *flags)
    assert asked.returncode == 2
    assert says in asked.stderr and asked.stderr.count("\n") == 1


def test_too_few_trades_are_refused_by_their_number(tmp_path: Path) -> None:
    write_market(tmp_path / "BTC_USDT.csv", 200)
    said = njord(
        tmp_path, "backtest", "sma_cross", "--data", "BTC_USDT.csv", "--tick", "1", "--min-notional", "0",
        "--poison", "off",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    asked = njord(tmp_path, "montecarlo", "last")
    assert asked.returncode == 2
    assert (
        "closed trades, a bootstrap of trades needs 30; use --method bars-block, or a longer run"
        in asked.stderr
    )
    assert njord(tmp_path, "montecarlo", "last", "--method", "bars-block", "--paths", "50").returncode == 0


def test_an_interrupt_leaves_nothing_behind(run: Path) -> None:
    root = run.parents[2]
    before = sorted(root.rglob("*"))
    command = [NJORD, "montecarlo", run.name, "--method", "market-block"]
    command += ["--paths", "5000", "--workers", "2"]
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "path" not in (line := process.stderr.readline()):  # Its forecast, or how many are done.
            assert line, "it ended before it could be interrupted"
        process.send_signal(signal.SIGINT)
        ended = time.monotonic() + 200
        _, said = process.communicate(timeout=max(1.0, ended - time.monotonic()))
    assert process.returncode == 130
    assert "interrupted; nothing half-done was kept" in said and "Traceback" not in said
    assert sorted(root.rglob("*")) == before
