"""A market maker on a recorded book and trades, by the command line: the same bytes in any process, and again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

NJORD = str(Path(sys.executable).with_name("njord"))
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"


def njord(root: Path, *arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "NO_COLOR": "1"}
    return subprocess.run([NJORD, *arguments], env=environment, capture_output=True, text=True, cwd=root)


def backtest(root: Path, hash_seed: str) -> tuple[bytes, dict[str, Any]]:
    flags = [
        "--account",
        "margin",
        "--capital",
        "1000000",
        "--latency-ms",
        "10",
        "--queue-model",
        "probability",
    ]
    data = ["--data", "trades/binance/ETH-USDT", "--data", "book/binance/ETH-USDT"]
    done = njord(root, "backtest", "market_maker", *data, *flags, "--json", "out.json", hash_seed=hash_seed)
    assert done.returncode == 0, done.stderr
    folder = max((root / "var" / "reports").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    journal = b"".join(path.read_bytes() for path in sorted((folder / "journal").iterdir()))
    return journal, json.loads((root / "out.json").read_text())


@pytest.mark.long
def test_a_market_maker_on_a_recorded_book_is_the_same_in_every_process_and_knows_nothing_early(
    recordings: Path, tmp_path: Path
) -> None:
    done = njord(tmp_path, "data", "import", str(recordings / "capture" / CAPTURE))
    assert done.returncode == 0, done.stderr
    journal, result = backtest(tmp_path, "1")
    assert (journal, result) == backtest(tmp_path, "2")
    assert len(result["fills"]) > 300
    poison = result["poison"]
    assert isinstance(poison, dict)
    assert poison["n_cuts"] == 3
    assert not poison["leaks"]
    assert not poison["acausal_fills"]
    assert poison["n_fills"] == len(result["fills"])
    assert any("moved on by 1.274537754 s" in said for said in result["assumptions"])
    assert b'"TradeEvent"' not in journal
    assert b'"BookEvent"' not in journal
    replayed = njord(tmp_path, "replay", "last", hash_seed="3")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert replayed.stdout.startswith("identical, ")
