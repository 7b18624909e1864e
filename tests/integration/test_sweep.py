"""Sweeps with real processes: the same table whoever evaluates, whatever is killed, wherever it goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from njord.apps.synthetic import write_synthetic_csv
from njord.cli import run
from njord.core.errors import ConfigError
from njord.research import executors
from njord.research.axes import Axis
from njord.research.sweep_result import PLAN, RESULT, TABLE, read_result
from njord.research.sweep_store import LEDGER, ROWS
from tests.integration.dask_cluster import cluster, dies_once
from tests.integration.sweep_child import opened, sweep, wishes
from tests.warm_njord import warm_njord

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
CHILD = Path(__file__).with_name("sweep_child.py")
NJORD = Path(sys.executable).with_name("njord")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(path, 1_500, 7)
    return path


@pytest.fixture(scope="module")
def table(data: Path) -> bytes:
    """The table of the sweep as one process makes it."""
    folder = data.parent / "alone"
    sweep(data, folder, wishes("1"))
    return (folder / TABLE).read_bytes()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[str]:
    """Two workers of a scheduler, processes of their own."""
    with cluster(tmp_path) as address:
        yield address


def test_the_table_is_the_full_product_without_what_the_strategy_refuses(data: Path, table: bytes) -> None:
    result = read_result(data.parent / "alone")
    frame = pl.read_parquet(table)
    wanted = [(fast, slow) for fast in range(2, 12) for slow in range(8, 32, 4) if slow > fast]
    assert frame.select("fast", "slow").rows() == wanted
    assert (result.n_points, result.n_refused) == (len(wanted), 60 - len(wanted))
    assert [twin.inside.sharpe for twin in result.top] == frame["sharpe"].top_k(3).to_list()
    assert all(twin.outside is not None and twin.outside.n_bars == 450 for twin in result.top)
    assert frame["n_bars"].unique().to_list() == [1050]
    assert frame["block_n"].to_numpy().sum(axis=1).tolist() == [1050.0] * len(wanted)


def test_two_workers_make_the_table_of_one(data: Path, table: bytes, tmp_path: Path) -> None:
    sweep(data, tmp_path / "two", wishes("2"))
    assert (tmp_path / "two" / TABLE).read_bytes() == table


def test_two_threads_on_the_fast_engine_make_the_table_of_one(data: Path, tmp_path: Path) -> None:
    tables = []
    for workers in ("1", "2"):
        result = sweep(data, tmp_path / workers, wishes(workers, engine="fast"))
        assert result.engine == "fast"
        tables.append((tmp_path / workers / TABLE).read_bytes())
    assert tables[0] == tables[1]


def test_a_killed_sweep_goes_on_to_the_same_bytes(data: Path, table: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    for n_chunks in (0, 1):
        with subprocess.Popen(
            [sys.executable, str(CHILD), str(data), str(folder), "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHILD.parents[2],
            env={**os.environ, "PYTHONPATH": str(CHILD.parents[2])},
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            for _ in range(n_chunks):
                assert child.stdout.readline()
                child.stdin.write(b"\n")
                child.stdin.flush()
            assert child.stdout.readline()
            child.kill()
        assert not (folder / RESULT).exists()
    kept = (folder / LEDGER).read_bytes().count(b"\n")
    assert kept > 0
    sweep(data, folder, wishes("2"))
    assert (folder / TABLE).read_bytes() == table
    assert sorted(path.name for path in folder.iterdir()) == sorted([PLAN, RESULT, TABLE])


@pytest.mark.long
def test_a_worker_that_is_killed_costs_nothing_but_time(data: Path, tmp_path: Path) -> None:
    tables = []
    for name, mark in (("dies", tmp_path / "mark"), ("lives", tmp_path)):
        strategy = dies_once(tmp_path, mark)
        sweep(data, tmp_path / name, wishes("2"), str(strategy))
        tables.append((tmp_path / name / TABLE).read_bytes())
    assert (tmp_path / "mark").exists()
    assert tables[0] == tables[1]


def test_dask_makes_the_same_table_though_a_worker_is_killed(
    data: Path, table: bytes, dask: str, tmp_path: Path
) -> None:
    sweep(data, tmp_path / "plain", wishes(dask))
    assert (tmp_path / "plain" / TABLE).read_bytes() == table
    mark = tmp_path / "mark"
    strategy = dies_once(tmp_path, mark)
    sweep(data, tmp_path / "killed", wishes(dask), str(strategy))
    assert mark.exists()
    assert (tmp_path / "killed" / TABLE).read_bytes() == table
    for name, workers in (("fused", dask), ("fused-here", "1")):
        assert sweep(data, tmp_path / name, wishes(workers, engine="fast")).engine == "fast"
    assert (tmp_path / "fused" / TABLE).read_bytes() == (tmp_path / "fused-here" / TABLE).read_bytes()


def test_no_scheduler_is_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "_CONNECT_S", 0.1)  # Nobody is there, however long one waits.
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at dask://127\.0\.0\.1:1"):
        sweep(data, tmp_path / "none", wishes("dask://127.0.0.1:1"))


def test_a_search_that_learns_says_which_extra_it_lacks(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # As if it were not installed.
    with pytest.raises(ConfigError, match=r"--sampler tpe needs Optuna; pip install 'njord-quant\[sweep\]'"):
        sweep(data, tmp_path / "none", wishes("1", sampler="tpe", n_points=5))


@pytest.mark.parametrize("pruner", ["none", "median", "halving"])
def test_a_search_that_learns_is_decided_by_its_seed_and_goes_on_as_it_would_have(
    data: Path, tmp_path: Path, pruner: str
) -> None:
    asked = wishes("1", sampler="tpe", pruner=pruner, n_points=25)
    whole = sweep(data, tmp_path / "whole", asked)
    assert whole.n_points == 25
    assert (whole.n_pruned > 0) == (pruner != "none")
    bytes_whole = (tmp_path / "whole" / TABLE).read_bytes()

    folder = tmp_path / "stopped"

    def stop(done: int, total: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    with opened(data, folder, asked) as stopped, pytest.raises(KeyboardInterrupt):
        stopped.run(folder, stop)
    assert (folder / ROWS).exists()
    sweep(data, folder, asked)
    assert (folder / TABLE).read_bytes() == bytes_whole
    other = sweep(data, tmp_path / "other", wishes("1", sampler="tpe", n_points=25, seed=1))
    assert other.n_points == 25
    assert (tmp_path / "other" / TABLE).read_bytes() != bytes_whole


def test_a_random_search_draws_without_replacement_by_its_seed(data: Path, tmp_path: Path) -> None:
    tables = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = sweep(data, tmp_path / name, wishes("1", sampler="random", n_points=20, seed=seed))
        assert result.n_points == 20
        assert pl.read_parquet(tmp_path / name / TABLE)["index"].n_unique() == 20
        tables.append((tmp_path / name / TABLE).read_bytes())
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize(
    ("strategy", "axis"),
    [
        ("trendline_break", Axis("window", ("3", "5", "8"))),
        ("rsi_tema_bb", Axis("rsi_period", ("7", "14", "21"))),
        ("grid", Axis("levels", ("2", "3", "4"))),
    ],
)
def test_the_other_bundled_strategies_can_be_swept(
    data: Path, tmp_path: Path, strategy: str, axis: Axis
) -> None:
    result = sweep(data, tmp_path / "swept", wishes("1", axes=(axis,), engine="auto"), strategy)
    assert (result.n_points, result.n_failed, result.n_refused) == (3, 0, 0)
    assert pl.read_parquet(tmp_path / "swept" / TABLE)[axis.name].to_list() == [int(v) for v in axis.values]


def njord(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [warm_njord(), "sweep", *words], cwd=cwd, capture_output=True, text=True, timeout=200, check=False
    )


def test_the_verb_forecasts_sweeps_and_shows_both_samples(data: Path, tmp_path: Path) -> None:
    asked = ["sma_cross", "--data", str(data), "--param", "fast=5,10,20", "--param", "slow=30,60,90"]
    forecast = njord(*asked, "--dry-run", "--json", cwd=tmp_path)
    assert forecast.returncode == 0, forecast.stderr
    assert json.loads(forecast.stdout)["n_points"] == 9
    assert not (tmp_path / "var" / "reports").exists()
    done = njord(*asked, "--json", "--csv", "points.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "forecast 9 of 9 combinations" in done.stderr
    result = json.loads(done.stdout)
    assert len(result["top"]) == 9
    assert (result["honesty"]["n_trials"], result["honesty"]["n_held_out"]) == (9, 9)
    points = pl.read_csv(tmp_path / "points.csv")
    assert points.height == 9
    assert points["sharpe"].to_list() == points["sharpe"].sort(descending=True).to_list()
    again = njord(*asked, "--holdout", "0", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "in sample only" in again.stdout
    assert (
        "after 27 trials" in again.stdout
    )  # Another window: other trials; and the nine looks at the hold-out.
    assert "hold-out is seen" not in again.stdout
    same = njord(*asked, cwd=tmp_path)
    assert "after 18 trials" in same.stdout  # All but its own looks, which chose nothing.
    assert "counted  the hold-out is seen now: 9 more trials for whatever is tried next" in same.stdout


def test_a_ledger_that_can_not_be_used_costs_no_sweep_and_counts_no_look(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "var" / "state" / "trials.ndjson").mkdir(parents=True)
    asked = ["sma_cross", "--data", str(data), "--param", "fast=5,10", "--param", "slow=30,60"]
    assert run(["sweep", *asked, "--root", str(tmp_path), "--json"]) in (0, 1)
    honesty = json.loads(capsys.readouterr().out)["honesty"]
    assert (honesty["n_trials"], honesty["n_held_out"]) == (4, 0)
    assert "the trial ledger" in honesty["error"]


def test_ctrl_c_keeps_what_is_done_leaves_no_child_and_prints_how_to_go_on(
    data: Path, tmp_path: Path
) -> None:
    asked = ["sma_cross", "--data", str(data), "--param", "fast=2:60:1", "--param", "slow=60:400:2"]
    with subprocess.Popen(
        [str(NJORD), "sweep", *asked, "--workers", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        ledger = _wait_for_chunk(tmp_path)
        os.killpg(child.pid, signal.SIGINT)  # As a terminal does: parent and children.
        _, said = child.communicate(timeout=200)
    assert child.returncode == 130
    assert "Traceback" not in said
    (folder,) = [
        line.rpartition("njord sweep --resume ")[2] for line in said.splitlines() if "--resume" in line
    ]
    assert (tmp_path / folder / LEDGER) == ledger
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)  # Nobody of the group is left.
    changed = njord("--resume", folder, "--data", str(data), cwd=tmp_path)
    assert changed.returncode == 2
    assert "takes strategy and data from its folder" in changed.stderr


def _wait_for_chunk(folder: Path) -> Path:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        for ledger in folder.glob(f"var/reports/*/{LEDGER}"):
            if ledger.stat().st_size:
                return ledger
        time.sleep(0.02)
    raise AssertionError("no chunk was kept")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--param", "fast=5:104:10"], "steps of 10 from 5 do not meet 104"),
        (["--param", "fats=5,6"], "did you mean 'fast'"),
        (["--param", "fast=50,60", "--param", "slow=20,30"], "slow must be > fast"),
        (["--param", "fast=5,6", "--objective", "sharp"], "did you mean 'sharpe'"),
        (["--param", "fast=5,6", "--holdout", "1"], "--holdout must be in [0, 1), was 1"),
        (["--param", "fast=5,6", "--workers", "0"], "--workers takes 1 to 512"),
        (["--param", "fast=5,6", "--sampler", "random"], "needs to know how many points"),
        (["--param", "fast=5,6", "--points", "5"], "a grid evaluates all"),
        (["--param", "fast=5,6", "--pruner", "median"], "needs a sampler that learns"),
        (
            ["--param", "fast=5,6", "--sampler", "cmaes"],
            "--sampler 'cmaes' is not known; known: grid, random, tpe",
        ),
        (["--resume", "nowhere"], "takes strategy and data"),
    ],
)
def test_what_no_sweep_can_be_is_one_line(
    data: Path, tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["sweep", "sma_cross", "--data", str(data), "--root", str(tmp_path), *words])
    said = capsys.readouterr().err
    assert code == 2
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "var").exists()
