"""`njord backtest` with several strategies and data: what it prints, writes and refuses, and its exit codes."""

import json
from pathlib import Path

import pytest

from njord.cli import EXIT_LEAK, EXIT_STRATEGY, run
from tests.unit.backtest.market_samples import store_book, store_trades, write_bars

PRICES = [100, 101, 103, 102, 99, 98, 101, 104, 106, 103, 100, 97, 99, 102, 105, 107, 104, 101, 98, 96]
TRADES = [(10 * i, 10 * i, 1, 10_000 + i, 5_000) for i in range(1, 6)]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_bars(tmp_path, "BTC/USDT", PRICES)
    write_bars(tmp_path, "ETH/USDT", PRICES[::-1])
    write_bars(tmp_path, "ETH/BTC", PRICES)
    store = tmp_path / "var" / "data"
    store.parent.mkdir()
    store_trades(store, TRADES)
    store_book(store, [(1, 1, 1, 1, True, [("bid", 9_990, 5), ("ask", 10_010, 5)])])
    return tmp_path


def test_several_strategies_and_symbols_run_and_replay(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", "BTC_USDT-1m.csv", "--data", "ETH_USDT-1m.csv"]
    params = ["--param", "fast=2", "--param", "slow=4", "--poison", "off"]
    assert run(["backtest", "a=sma_cross@BTC/USDT", "b=sma_cross", *data, *params, "--json", "out.json"]) == 0
    out = json.loads((room / "out.json").read_text())
    assert [strategy["id"] for strategy in out["strategies"]] == ["a", "b"]
    assert out["poison"] is None
    (folder,) = (room / "var" / "reports").iterdir()
    assert "-a-b-BTCUSDT-ETHUSDT-" in folder.name
    assert sorted(path.name for path in folder.iterdir()) == [
        "equity.parquet", "journal", "orders.parquet", "report.html", "run.json", "summary.json",
    ]  # fmt: skip
    capsys.readouterr()
    assert run(["replay", "last"]) == 0
    assert capsys.readouterr().out.startswith("identical, ")


def test_settings_reach_the_run_and_the_summary_says_how_many_cuts_were_made(room: Path) -> None:
    flags = ["--latency-ms", "2.5", "--account", "margin", "--leverage", "2", "--queue-model", "probability"]
    more = ["--set", "backtest.impact_bps=20", "--slippage-model", "linear", "--max-volume-share", "0.5"]
    words = ["backtest", "sma_cross", "--data", "BTC_USDT-1m.csv", "--param", "fast=2", "--param", "slow=4"]
    assert run([*words, *flags, *more, "--poison", "2", "--json", "out.json"]) == 0
    (folder,) = (room / "var" / "reports").iterdir()
    settings = json.loads((folder / "run.json").read_text())["config"]["backtest"]
    assert (settings["entry_latency_ns"], settings["response_latency_ns"]) == (2_500_000, 2_500_000)
    assert (settings["account"], settings["leverage"], settings["queue_model"]) == (
        "margin",
        "2",
        "probability",
    )
    assert (settings["slippage_model"], settings["impact_bps"]) == ("linear", "20")
    out = json.loads((room / "out.json").read_text())
    assert out["poison"]["n_cuts_asked"] == 2
    assert json.loads((folder / "summary.json").read_text())["poison"] == out["poison"]


LEAKS = """
from njord.strategies import *


class Leaks(Strategy):
    def precompute(self, bars):
        return {"next": bars.close_price[::-1].copy()}

    def on_bar(self, ctx, bar):
        return Target(weight=1.0 if ctx.feature("next") > 101 else 0.0)
"""


def test_a_strategy_that_reads_the_future_exits_with_its_own_code(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "leaks.py").write_text(LEAKS)
    write_bars(room, "BTC/USDT", PRICES * 20)
    assert run(["backtest", "./leaks.py", "--data", "BTC_USDT-1m.csv"]) == EXIT_LEAK == 6
    captured = capsys.readouterr()
    assert captured.err.startswith("njord: a decision has read the future: ")
    assert len(captured.err.splitlines()) == 1
    assert run(["backtest", "./leaks.py", "--data", "BTC_USDT-1m.csv", "--poison", "off"]) == 0


def test_a_strategy_that_fails_is_named_and_not_looked_at_further(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "from njord.strategies import *\nclass F(Strategy):\n    def on_bar(self, ctx, bar):\n        1 / 0\n"
    )
    (room / "fails.py").write_text(text)
    assert run(["backtest", "./fails.py", "--data", "BTC_USDT-1m.csv"]) == EXIT_STRATEGY
    assert capsys.readouterr().err.startswith("njord: strategy fails failed and was suspended: fails.py:4: ")


TICKS = ["--data", "trades/sim/ETH-USDT"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--data", "BTC_USDT-1m.csv", "--data", "BTC_USDT-1m.csv"],
            "two datasets of bars are given for BTC/USDT",
        ),
        (["--data", "BTC_USDT-1m.csv", "--data", "ETH_BTC-1m.csv"], "the data are quoted in BTC and USDT"),
        (
            ["--data", "BTC_USDT-1m.csv", "--data", "ETH_USDT-1m.csv", "--symbol", "A/B"],
            "--symbol A/B names one",
        ),
        (["--data", "book/sim/ETH-USDT"], "a book without trades is given for ETH/USDT, "),
        ([*TICKS, "--data", "ETH_USDT-1m.csv"], "bars and trades are given for ETH/USDT, "),
        ([*TICKS, *TICKS], "two datasets of trades are given for ETH/USDT"),
        (TICKS, "strategy sma_cross decides on bars, ETH/USDT is given as trades; make bars"),
        ([*TICKS, "--tick", "1"], "is a stored dataset, which knows its symbol, grid and times"),
        ([*TICKS, "--start", "2030-01-01"], "has no trades in the range asked for"),
        (["--data", "BTC_USDT-1m.csv", "--start", "2030-01-01"], "BTC_USDT-1m.csv has no bars in the range"),
        (["--data", "BTC_USDT-1m.csv", "--set", "x"], "--set takes KEY=VALUE, was 'x'"),
        (["--data", "BTC_USDT-1m.csv", "--set", "backtest.nope=1"], "backtest.nope"),
        (["--data", "BTC_USDT-1m.csv", "--set", "backtest.latency_model=recorded"], "bars record no delays"),
        (["--data", "BTC_USDT-1m.csv", "--latency-ms", "x"], "--latency-ms must be a finite number, was x"),
        (["--data", "BTC_USDT-1m.csv", "--latency-ms", "-1"], "--latency-ms must be 0 to 60000 in whole"),
        (
            ["--data", "BTC_USDT-1m.csv", "--latency-ms", "0.0000001"],
            "--latency-ms must be 0 to 60000 in whole",
        ),
        (["--data", "BTC_USDT-1m.csv", "--leverage", "2"], "leverage must be 1 on a spot account, was 2"),
        (["--data", "BTC_USDT-1m.csv", "--account", "x"], "backtest.account must be"),
        (
            ["--data", "BTC_USDT-1m.csv", "--poison", "no"],
            "--poison takes off or a number of cuts up to 1000, was no",
        ),
        (["--data", "BTC_USDT-1m.csv", "--poison", "-1"], "--poison takes off or a number"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line_and_nothing_is_written(
    words: list[str], says: str, room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "sma_cross", *words]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("njord: ")
    assert says in line
    assert ";" in line
    assert captured.out == ""
    assert not (room / "var" / "reports").exists()


def test_a_strategy_of_the_book_is_not_given_bars(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "market_maker", "--data", "BTC_USDT-1m.csv"]) == 2
    says = "strategy market_maker decides on trades and books, BTC/USDT is given as bars; give --data with trades"
    assert says in capsys.readouterr().err


def test_the_summary_of_ticks_names_both_datasets(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", "market_maker", *TICKS, "--data", "book/sim/ETH-USDT"]) == 0
    out = capsys.readouterr().out
    assert "5 rows of trades and 2 rows of book" in out


def test_a_strategy_of_the_book_is_not_given_trades_alone(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "market_maker", *TICKS]) == 2
    says = (
        "strategy market_maker decides on books, ETH/USDT is given as trades alone; add --data with the book"
    )
    assert says in capsys.readouterr().err
    assert not (room / "var" / "reports").exists()


def test_a_range_without_bars_is_told_which_the_data_have(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "sma_cross", "--data", "BTC_USDT-1m.csv", "--start", "2030-01-01"]) == 2
    assert "they open from 2024-01-01T00:00 to 2024-01-01T00:19; check" in capsys.readouterr().err


def test_a_wrong_fee_is_one_mistake_though_makers_pay_it_too(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "sma_cross", "--data", "BTC_USDT-1m.csv", "--fee-bps", "abc"]) == 2
    says = "njord: --fee-bps must be a finite number, was abc; for example --fee-bps 0.01\n"
    assert capsys.readouterr().err == says


MARKED = """
from njord.strategies import *


class Marked(Strategy):
    def on_bar(self, ctx, bar):
        raise ValueError("list[red] of lots")
"""


def test_words_of_a_strategy_are_printed_as_they_are(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (room / "marked.py").write_text(MARKED)
    assert run(["backtest", "./marked.py", "--data", "BTC_USDT-1m.csv"]) == EXIT_STRATEGY
    out = capsys.readouterr().out
    assert "\nsuspended: marked.py:7: ValueError: list[red] of lots" in out
    assert "nothing was asked for" in out
    assert "fees                      0 USDT " in out


def test_the_summary_shows_what_was_paid_of_all_that_was_traded_and_what_nobody_trades(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["backtest", "sma_cross@ETH/USDT", "--data", "BTC_USDT-1m.csv", "--data", "ETH_USDT-1m.csv"]
    params = ["--param", "fast=2", "--param", "slow=4", "--param", "weight=0.5", "--fee-bps", "20"]
    assert run([*words, *params, "--poison", "off"]) == 0
    out = capsys.readouterr().out
    assert "USDT (20 bp)" in out
    assert "no strategy trades BTC/USDT, whose data are given; buy and hold counts it" in out
    assert "funding" not in out.partition("assumed")[0]


FLOODS = """
from njord.strategies import *


class Floods(Strategy):
    def on_bar(self, ctx, bar):
        return [CancelIntent(client_order_id="x")] * 10_001
"""


def test_a_strategy_that_floods_the_engine_is_named_and_leaves_nothing(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (room / "floods.py").write_text(FLOODS)
    assert run(["backtest", "./floods.py", "--data", "BTC_USDT-1m.csv"]) == 2
    says = "caused more than 10000 messages: floods sends thousands of orders at once, or answers its own"
    assert says in capsys.readouterr().err
    assert not list((room / "var" / "reports").iterdir())
