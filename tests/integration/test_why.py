"""`njord why` on recorded markets: every decision of a run told with the gate's own numbers, bars and ticks alike."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from njord.audit.story import rulings_of
from njord.audit.why import why
from njord.core.codec import decode
from njord.core.contracts import FillEvent, OrderIntent, RiskDecision
from njord.storage.journal_reader import read_blocks
from tests.warm_njord import warm_njord

pytestmark = pytest.mark.integration
BARS = "BTC-PERP-1m-20211231-20220201.csv.gz"
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
EVERY = 97  # Of the decisions that are told.


def njord(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([warm_njord(), *arguments], capture_output=True, text=True, cwd=root)


def told(root: Path, *arguments: str) -> dict[str, Any]:
    done = njord(root, "why", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    story: dict[str, Any] = json.loads(done.stdout)
    return story


def decisions(folder: Path) -> list[RiskDecision]:
    messages = [decode(line.message) for block in read_blocks(folder / "journal") for line in block.lines]
    wishes = {each.intent_id for each in messages if isinstance(each, OrderIntent)}
    return [each for each in messages if isinstance(each, RiskDecision) and each.intent_id in wishes]


def check(folder: Path, every: int) -> None:
    for decision in decisions(folder)[::every]:
        story = why(folder, decision.intent_id)
        first = [each for each in rulings_of(story.chapters) if each.is_first]
        assert bool(first) is not decision.allowed
        if first:
            assert (first[0].rule, first[0].reason) == (decision.rule, str(decision.reason))
            assert set(decision.evidence) <= set(first[0].numbers)


def test_every_decision_on_recorded_bars_is_told_as_the_gate_gave_it(
    recordings: Path, tmp_path: Path
) -> None:
    data = str(recordings / "bars" / BARS)
    careful = ["--risk-profile", "paper", "--capital", "200", "--leverage", "2", "--end", "2022-01-05"]
    done = njord(tmp_path, "backtest", "sma_cross", "--data", data, "--param", "weight=1.0", *careful)
    assert done.returncode == 0, done.stderr
    folder = next((tmp_path / "var" / "reports").iterdir())
    assert len(decisions(folder)) > 50
    refused = [each for each in decisions(folder) if not each.allowed]
    assert refused
    check(folder, EVERY)
    for decision in refused[:3]:
        first = next(each for each in rulings_of(why(folder, decision.intent_id).chapters) if each.is_first)
        assert first.rule == decision.rule
    last = told(tmp_path, "last")
    assert last["run"] == folder.name
    moment = told(tmp_path, "--at", "2022-01-02T12:00")
    assert moment["kind"] == "moment"
    assert moment["verdict"].startswith("sma_cross ")


@pytest.mark.long
def test_an_order_on_a_recorded_book_has_its_latencies_and_its_slippage(
    recordings: Path, tmp_path: Path
) -> None:
    done = njord(tmp_path, "data", "import", str(recordings / "capture" / CAPTURE))
    assert done.returncode == 0, done.stderr
    data = ["--data", "trades/binance/ETH-USDT", "--data", "book/binance/ETH-USDT"]
    terms = ["--account", "margin", "--capital", "1000000", "--latency-ms", "10"]
    done = njord(tmp_path, "backtest", "market_maker", *data, *terms)
    assert done.returncode == 0, done.stderr
    folder = next((tmp_path / "var" / "reports").iterdir())
    messages = [decode(line.message) for block in read_blocks(folder / "journal") for line in block.lines]
    fill = next(each for each in messages if isinstance(each, FillEvent))
    story = told(tmp_path, "fill " + fill.venue_trade_id)
    assert story["client_order_id"] == fill.client_order_id
    venue = next(each for each in story["chapters"] if each["name"] == "venue")["lines"]
    assert venue[0]["text"] == "The venue accepted it"
    assert venue[0]["after_ns"] == 20_000_000  # There and back.
    filled = next(each for each in venue if each["text"].startswith("Filled: "))
    assert filled["ts_ns"] - filled["ts_venue_ns"] == 10_000_000
    assert dict(filled["facts"])["slippage"].endswith(" bps from " + price_at_decision(story))
    check(folder, 400)
    moment = told(tmp_path, "--at", "23:55:00")
    assert moment["outcome"] == "traded"


def price_at_decision(story: dict[str, Any]) -> str:
    state = next(each for each in story["chapters"] if each["name"] == "state")["lines"][0]
    return str(dict(state["facts"])["price"])
