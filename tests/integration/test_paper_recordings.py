"""Recorded markets through the asyncio node at full speed: the backtest's orders and the backtest's journal."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_watch import KillSwitchWatch
from njord.apps.node import NodeOptions, PaperNode
from njord.apps.paced_feed import PacedFeed
from njord.apps.session import Session
from njord.apps.stop import Ended, StopPolicy
from njord.backtest.session import BacktestRequest, prepare, run_backtest
from njord.backtest.simulation import Prepared
from njord.cli import run as njord
from tests.unit.apps.paper_world import lines

pytestmark = pytest.mark.integration
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
BARS = "BTC-PERP-1m-20211231-20220201.csv.gz"
Settings = Mapping[str, str]


def bars_run(recordings: Path, root: Path, settings: Settings) -> Prepared:
    request = BacktestRequest(strategy="sma_cross", data=recordings / "bars" / BARS)
    return prepare(request, load_config(root, settings, {}).config, {})


def capture_run(recordings: Path, root: Path, settings: Settings) -> Prepared:
    if not (root / "var" / "data").is_dir():
        assert njord(["data", "import", str(recordings / "capture" / CAPTURE), "--root", str(root)]) == 0
    own = {
        "backtest.account": "margin",
        "backtest.capital": "1000000",
        "backtest.queue_model": "probability",
    }
    store = root / "var" / "data"
    data = (store / "trades" / "binance" / "ETH-USDT", store / "book" / "binance" / "ETH-USDT")
    request = BacktestRequest(strategy="market_maker", data=data)
    return prepare(request, load_config(root, {**own, **settings}, {}).config, {})


def play(session: Session, root: Path, stop_at: int | None = None) -> Ended:
    async def run() -> Ended:
        watch = KillSwitchWatch(root / "kill_switch", None, "", 30_000)  # A slow machine trips nothing.
        watch.start()
        feed = PacedFeed(session.prepared.market, None)

        def stop() -> None:
            if stop_at is not None and session.n_rows >= stop_at:
                node.request_stop("signal SIGTERM")

        node = PaperNode(
            session, feed, watch, NodeOptions(stop_policy=StopPolicy.LEAVE), lambda messages: stop()
        )
        try:
            return await node.run()
        finally:
            watch.stop()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("prepared_of", "latency_ns"),
    [
        (bars_run, "0"),
        (capture_run, "10000000"),
        pytest.param(bars_run, "10000000", marks=pytest.mark.long),
        pytest.param(capture_run, "0", marks=pytest.mark.long),
    ],
)
def test_a_paper_session_is_the_backtest_also_when_it_was_stopped_on_the_way(
    prepared_of: object, latency_ns: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(prepared_of)
    settings = {"backtest.entry_latency_ns": latency_ns, "backtest.response_latency_ns": latency_ns}
    prepared: Prepared = prepared_of(recordings, tmp_path, settings)
    with prepared.market as market:
        backtest = run_backtest(prepared, tmp_path / "reports")
        assert len(backtest.result.fills) > 300
        expected = [line.message for line in lines(backtest.folder / "journal")]
        session = Session.open(prepared, tmp_path / "state")
        began_s = time.perf_counter()
        assert play(session, tmp_path).finished
        took_s = time.perf_counter() - began_s
        assert session.recorder.order_list_hash() == backtest.result.order_list_hash
        assert [line.message for line in lines(session.folder / "journal")] == expected

        stopped = Session.open(prepared, tmp_path / "state")
        assert not play(stopped, tmp_path, market.n_events // 2).finished
        resumed = Session.open(prepared, tmp_path / "state")
        assert resumed.folder == stopped.folder
        assert resumed.resumed is not None
        assert resumed.n_rows == stopped.n_rows > market.n_events // 3
        rate = resumed.n_rows / resumed.resumed.took_s
        assert play(resumed, tmp_path).finished
        assert resumed.recorder.order_list_hash() == backtest.result.order_list_hash
        written = [line.message for line in lines(resumed.folder / "journal")]
        assert [message for message in written if b'"source":"node"' not in message] == expected
    with capsys.disabled():
        print(
            f"\n{market.n_events:,} messages, {len(backtest.result.fills)} fills: node {market.n_events / took_s:,.0f} "
            f"messages/s with its syncs, recovery {rate:,.0f} messages/s"
        )
