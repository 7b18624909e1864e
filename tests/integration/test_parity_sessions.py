"""Parity and replay of paper sessions on recorded markets: bars and ticks, whole, tripped and killed, on other terms."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_watch import Reading
from njord.apps.node import NodeOptions, PaperNode
from njord.apps.paced_feed import PacedFeed
from njord.apps.session import Session
from njord.audit.parity import Parity, parity
from njord.audit.parity_gap import Parts
from njord.backtest.replay import replay_run
from njord.backtest.session import BacktestRequest, prepare, run_backtest
from njord.core.config_shapes import paper_config
from njord.core.types import TradingState
from njord.core.units import ZERO
from njord.storage.bars_options import BarOptions
from tests.unit.apps.paper_world import ACTIVE, TRIPPED, SwitchByRow, make_world, open_session, run
from tests.unit.audit.parity_scene import cut_off
from tests.warm_njord import warm_njord

pytestmark = pytest.mark.integration
LONG = pytest.mark.long

BARS = "BTC-PERP-1m-20211231-20220201.csv.gz"
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
FLATTENS = Reading(TradingState.REDUCE_ONLY, "file", "drill", "ann", flattens=True)
MARKET_MAKER = {
    "backtest.account": "margin",
    "backtest.entry_latency_ns": "10000000",
    "backtest.response_latency_ns": "10000000",
    "backtest.queue_model": "probability",
    "paper.capital": "1000000",
    "paper.risk_profile": "research",
}


def always_active(row: int) -> Reading:
    return ACTIVE


def paper(
    root: Path,
    request: BacktestRequest,
    settings: dict[str, str],
    reading_at: Callable[[int], Reading] = always_active,
) -> Session:
    """Run a paper session at full speed to the end of its data."""
    prepared = prepare(request, paper_config(load_config(root, settings, {}).config), {})
    with prepared.market:
        session = Session.open(prepared, root / "state")

        async def play() -> None:
            switch = SwitchByRow(session, reading_at)
            node = PaperNode(session, PacedFeed(prepared.market, None), switch, NodeOptions())
            assert (await node.run()).finished

        asyncio.run(play())
    return session


def assert_match(found: Parity) -> None:
    assert found.is_match, found.first_difference
    assert (found.decision_match_pct, found.fill_match_pct) == (100.0, 100.0)
    assert (found.gap, found.parts) == (ZERO, Parts())


def assert_adds_up(found: Parity) -> None:
    assert found.parts.total == found.gap
    assert found.session_pnl - found.backtest_pnl == found.gap
    assert not found.is_match


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recorded capture in its store."""
    return tmp_path_factory.mktemp("ticks")


def capture_request(recordings: Path, root: Path) -> BacktestRequest:
    store = root / "var" / "data"
    if not store.exists():
        done = subprocess.run(
            [warm_njord(), "data", "import", str(recordings / "capture" / CAPTURE)],
            capture_output=True,
            text=True,
            cwd=root,
        )
        assert done.returncode == 0, done.stderr
    data = tuple(store / kind / "binance" / "ETH-USDT" for kind in ("trades", "book"))
    return BacktestRequest(strategy="market_maker", data=data)


@pytest.mark.parametrize("trip", [None, *(pytest.param(each, marks=LONG) for each in (TRIPPED, FLATTENS))])
def test_a_session_on_recorded_bars_matches_and_replays(
    recordings: Path, tmp_path: Path, trip: Reading | None
) -> None:
    request = BacktestRequest(strategy="sma_cross", data=recordings / "bars" / BARS)

    def reading_at(row: int) -> Reading:
        return trip if trip is not None and 20_000 <= row < 25_000 else ACTIVE

    session = paper(tmp_path, request, {}, reading_at)
    found = parity(session.folder, {})
    assert_match(found)
    assert found.n_rows == session.prepared.market.n_events > 40_000
    assert found.n_session_fills == len(session.recorder.fills) > 500
    verdict = replay_run(session.folder)
    assert (verdict.identical, verdict.complete) == (True, True)
    later = parity(session.folder, {"backtest.entry_latency_ns": "60000000000"})
    assert_adds_up(later)
    assert later.parts.latency
    assert later.parts.data == 0


@pytest.mark.parametrize("trip", [*(pytest.param(each, marks=LONG) for each in (None, TRIPPED)), FLATTENS])
def test_a_session_on_recorded_ticks_matches_and_replays(
    recordings: Path, ticks: Path, tmp_path: Path, trip: Reading | None
) -> None:
    request = capture_request(recordings, ticks)

    def reading_at(row: int) -> Reading:
        return trip if trip is not None and 4_000 <= row < 6_000 else ACTIVE

    session = paper(tmp_path, request, MARKET_MAKER, reading_at)
    found = parity(session.folder, {})
    assert_match(found)
    assert found.n_session_fills == len(session.recorder.fills) > 200
    assert replay_run(session.folder).identical


def test_other_latency_on_ticks_is_latency_price_and_missed_fills(
    recordings: Path, ticks: Path, tmp_path: Path
) -> None:
    session = paper(tmp_path, capture_request(recordings, ticks), MARKET_MAKER)
    changed = {"backtest.entry_latency_ns": "200000000", "backtest.response_latency_ns": "200000000"}
    found = parity(session.folder, changed)
    assert_adds_up(found)
    assert found.parts.latency
    assert found.parts.price
    assert found.parts.missed_fills
    assert (found.parts.data, found.parts.funding) == (ZERO, ZERO)
    assert 0 < found.decision_match_pct < 100
    slower = parity(session.folder, {"backtest.fee_bps": "20", "backtest.maker_fee_bps": "20"})
    assert_adds_up(slower)
    assert slower.parts.fees


def test_a_leveraged_contract_with_funding_matches_and_its_gap_adds_up(
    recordings: Path, tmp_path: Path
) -> None:
    settings = {"backtest.account": "perpetual", "backtest.leverage": "3", "backtest.funding_bps": "3"}
    bars = BarOptions(symbol="BTC/USDT:USDT")
    request = BacktestRequest(strategy="sma_cross", data=recordings / "bars" / BARS, bars=bars)
    prepared = prepare(request, load_config(tmp_path, settings, {}).config, {})
    with prepared.market:
        finished = run_backtest(prepared, tmp_path / "reports")
    assert_match(parity(finished.folder, {}))
    found = parity(finished.folder, {"backtest.funding_bps": "-3"})
    assert_adds_up(found)
    assert found.parts.funding < 0


@pytest.mark.parametrize("trip", [TRIPPED, FLATTENS])
def test_a_session_that_was_killed_after_some_message_matches_and_replays(
    tmp_path: Path, trip: Reading
) -> None:
    world = make_world(tmp_path, settings={"backtest.entry_latency_ns": "30000000000"})
    with world.prepared.market:
        session = open_session(world)
        run(session, reading_at=lambda row: trip if 26 <= row < 41 else ACTIVE)
        whole = tmp_path / "whole"
        shutil.copytree(session.folder, whole)
        first = 1 if trip is TRIPPED else 3
        for n_messages in range(first, session.journal.n_messages + 1, 4):
            shutil.rmtree(session.folder)
            shutil.copytree(whole, session.folder)
            assert_match(parity(cut_off(session.folder, world, n_messages), {}))
            assert replay_run(session.folder).identical


def test_the_verb_says_it_in_text_in_json_and_by_its_exit_code(recordings: Path, tmp_path: Path) -> None:
    def njord(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([warm_njord(), *words], capture_output=True, text=True, cwd=tmp_path)

    data = str(recordings / "bars" / BARS)
    until = ("--end", "2022-01-08")  # About 10,000 bars.
    played = njord("paper", "sma_cross", "--data", data, "--replay", "max", "--session", "first", *until)
    assert played.returncode == 0, played.stderr
    same = njord("parity", "first")
    assert same.returncode == 0, same.stderr
    assert "decisions      100 %" in same.stdout
    assert same.stdout.splitlines()[3].endswith("gap 0 USD")
    assert njord("replay", "first").stdout.startswith("identical, ")
    other = njord("parity", "last", "--latency-ms", "60000", "--json")
    assert other.returncode == 1, other.stderr
    said = json.loads(other.stdout)
    assert said["session"] == "first"
    assert said["gap"] != "0"
    assert said["largest"][0]["ask"]
    wrong = njord("parity", "nothing")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
    segment = tmp_path / "var" / "state" / "sessions" / "first" / "journal" / "000001.ndjson"
    text = bytearray(segment.read_bytes())
    text[len(text) // 2] ^= 1
    segment.write_bytes(text)
    for verb in ("parity", "replay"):
        damaged = njord(verb, "first")
        assert damaged.returncode == 4
        assert damaged.stderr.startswith("njord: JournalCorrupt: ")
