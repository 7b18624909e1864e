"""`njord data` as a user types it, on the recordings: in, split, out and in again, killed, and asked of a venue."""

import gzip
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from njord.storage.recording import Recorder
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from tests.integration.binance_server import START_MS, BinanceServer, Market, VirtualTime
from tests.warm_njord import warm_njord

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CAPTURE = "capture/ETHUSDT-binance-spot-20240808.jsonl.gz"
TRADES = "trades/XRP_ETH-trades-20191011-20191013.csv.gz"
BARS = "bars/BTC-PERP-1m-20211231-20220201.csv.gz"
NJORD = [str(Path(sys.executable).with_name("njord"))]
N_KILLS = int(os.environ.get("IMPORT_KILLS", "6"))  # Not NJORD_*: that would be a setting.
FORMATS = (".csv", ".csv.gz", ".parquet", ".feather", ".ndjson", ".ndjson.gz", ".ndjson.lz4")


def njord(room: Path, *arguments: object, code: int = 0) -> str:
    command = [warm_njord(), *map(str, arguments)]
    done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def data(room: Path, *arguments: object, code: int = 0) -> Any:
    return json.loads(njord(room, "data", *arguments, "--json", code=code))


def hashes(room: Path) -> dict[str, str]:
    return {each["path"]: each["hash"] for each in data(room, "list")["datasets"]}


def test_the_capture_gives_a_book_that_its_quotes_confirm(recordings: Path, tmp_path: Path) -> None:
    found = {each["path"]: each for each in data(tmp_path, "import", recordings / CAPTURE)["datasets"]}
    assert {path: each["n_rows"] for path, each in found.items()} == {
        "quotes/binance/ETH-USDT": 24_077,
        "book/binance/ETH-USDT": 108_814,
        "trades/binance/ETH-USDT": 6_106,
    }
    book = data(tmp_path, "book", "book/binance/ETH-USDT", "--depth", 5)
    audit = book["audit"]
    assert (audit["n_applied"], audit["n_dropped"], audit["n_gaps"]) == (3_432, 2, 0)
    assert book["is_synced"] and len(book["bids"]) == len(book["asks"]) == 5
    quoted = found["book/binance/ETH-USDT"]["certificate"]["findings"]
    assert [each["n"] for each in quoted if each["check"] == "quote_mismatches" and each["n"]] == []
    shown = njord(tmp_path, "data", "book", "book/binance/ETH-USDT", "--at", "2024-08-08T23:56:00")
    assert "1,053 changes applied after 1 snapshots, 2 from before dropped, 0 holes" in shown


@pytest.mark.long
@pytest.mark.parametrize("together", [True, False])
def test_a_capture_cut_in_two_files_continues_across_the_border(
    together: bool, recordings: Path, tmp_path: Path
) -> None:
    data(tmp_path, "import", recordings / CAPTURE)
    whole = hashes(tmp_path)
    lines = gzip.decompress((recordings / CAPTURE).read_bytes()).splitlines(keepends=True)
    halves = [tmp_path / "first.jsonl", tmp_path / "second.jsonl.gz"]
    halves[0].write_bytes(b"".join(lines[:20_001]))
    halves[1].write_bytes(gzip.compress(b"".join(lines[20_001:])))
    again = tmp_path / "again"
    again.mkdir()
    for files in [halves] if together else [[half] for half in halves]:
        data(again, "import", *files)
    assert hashes(again) == whole
    book = data(again, "book", "book/binance/ETH-USDT")
    assert (book["audit"]["n_applied"], book["audit"]["n_gaps"]) == (3_432, 0)


@pytest.mark.long
@pytest.mark.parametrize("recording", [BARS, TRADES, CAPTURE])
def test_every_format_out_and_in_again_is_exact(recording: str, recordings: Path, tmp_path: Path) -> None:
    data(tmp_path, "import", recordings / recording)
    for path, digest in hashes(tmp_path).items():
        for form in FORMATS:
            file = tmp_path / f"out{form}"
            data(tmp_path, "export", path, file, "--force")
            again = tmp_path / f"{path.replace('/', '-')}{form}"
            assert data(tmp_path, "import", file, "--store", again)["datasets"][0]["hash"] == digest, form


def test_an_import_that_is_repeated_adds_nothing_and_finds_no_fault_twice(
    recordings: Path, tmp_path: Path
) -> None:
    first = data(tmp_path, "import", recordings / BARS)["datasets"][0]
    again = data(tmp_path, "import", recordings / BARS)["datasets"][0]
    assert (first["n_added"], first["n_known"]) == (45_031, 0)
    assert (again["n_added"], again["n_known"]) == (0, 45_031)
    assert again["certificate"] == first["certificate"]
    assert data(tmp_path, "list")["datasets"][0]["n_parts"] == 3


@pytest.mark.long
def test_a_killed_import_is_completed_by_the_same_command(recordings: Path, tmp_path: Path) -> None:
    files = [recordings / BARS, recordings / TRADES, recordings / CAPTURE]
    command = [*NJORD, "data", "import", *map(str, files), "--json"]
    whole = tmp_path / "whole"
    whole.mkdir()
    started = time.perf_counter()
    subprocess.run(command, cwd=whole, check=True, capture_output=True)
    takes_s = time.perf_counter() - started
    room = tmp_path / "room"
    room.mkdir()
    chance = random.Random(11)
    n_killed = n_tried = 0
    while n_killed < N_KILLS and n_tried < 3 * N_KILLS:
        n_tried += 1
        with subprocess.Popen(
            command, cwd=room, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as child:
            time.sleep(takes_s * (0.2 + 0.8 * chance.random()))  # The moment, not a wait for something.
            child.kill()
        n_killed += child.returncode == -9
        if (room / "var/data/njord-store.json").exists():  # Killed earlier, it is no store yet.
            assert data(room, "verify")["problems"] == 0
        if n_killed % 10 == 0 and (room / "var").exists():
            subprocess.run(["rm", "-r", str(room / "var")], check=True)  # So that early moments come again.
    assert n_killed == N_KILLS
    subprocess.run(command, cwd=room, check=True, capture_output=True)
    assert hashes(room) == hashes(whole)
    assert data(room, "verify")["problems"] == 0
    assert not list((room / "var/data").rglob(".tmp-*"))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.long
@pytest.mark.parametrize(
    "damage", [_flip, lambda path: os.truncate(path, path.stat().st_size - 1), Path.unlink]
)
def test_every_file_that_is_damaged_is_named(
    damage: Callable[[Path], None], recordings: Path, tmp_path: Path
) -> None:
    data(tmp_path, "import", recordings / BARS)
    folder = tmp_path / "var/data/bars/file/BTC-USD-USD/1m"
    files = sorted(path for path in folder.iterdir() if path.suffix in (".parquet", ".json"))
    assert len(files) == 4
    for path in files:
        kept = path.read_bytes()
        damage(path)
        assert path.name in njord(tmp_path, "data", "verify", code=1), path.name
        path.write_bytes(kept)
    assert data(tmp_path, "verify")["problems"] == 0


@pytest.mark.long
def test_bars_of_stored_trades_are_a_dataset_that_a_backtest_runs_on_and_replays(
    recordings: Path, tmp_path: Path
) -> None:
    data(tmp_path, "import", recordings / TRADES, "--venue", "kraken")
    made = data(tmp_path, "resample", "trades/kraken/XRP-ETH", "--timeframe", "5m", "--gaps", "flat")
    assert made["path"] == "bars/kraken/XRP-ETH/5m"
    out = njord(tmp_path, "backtest", "sma_cross", "--data", made["path"], "--json", "-")
    result = json.loads(out)
    (used,) = result["data"]
    assert used["hash"] == made["hash"]
    assert used["certificate"]["grade"] == made["certificate"]["grade"]
    assert njord(tmp_path, "replay", "last").startswith("identical, ")
    data(tmp_path, "resample", made["path"], "--timeframe", "1h")
    direct = data(
        tmp_path, "resample", "trades/kraken/XRP-ETH", "--timeframe", "1h", "--out", "direct.parquet"
    )
    assert direct["n_rows"] == data(tmp_path, "list")["datasets"][0]["n_rows"]


def test_a_download_ends_with_a_graded_dataset_and_resumes_with_nothing_to_ask(tmp_path: Path) -> None:
    market = Market(1_500, 2_000)
    with BinanceServer(market, VirtualTime(market.end_ms + 2_500)) as server:
        asked = ("download", "--symbol", "BTC/USDT", "--start", _iso(START_MS), "--endpoint", server.url)
        first = data(tmp_path, *asked)
        assert first["n_rows"] > 0 and first["certificate"]["dataset_hash"] == first["hash"]
        n_asked = len(server.rows_asked("klines"))
        again = data(tmp_path, *asked)
        assert again["hash"] == first["hash"] and again["report"]["n_pages"] == 0
        assert len(server.rows_asked("klines")) == n_asked
        trades = data(tmp_path, *asked, "--trades")
        assert trades["path"] == "trades/binanceus/BTC-USDT"
        refused = njord(
            tmp_path, "data", "download", "--symbol", "BTC/USTD", "--start", _iso(START_MS),
            "--endpoint", server.url, "--store", "elsewhere", code=2,
        )  # fmt: skip
        said = [line for line in refused.splitlines() if not line.endswith("...")]
        assert len(said) == 1 and "did you mean BTC/USD, BTC/USDT?" in said[0]
        assert not (tmp_path / "elsewhere").exists()


def _iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000))


def test_the_commands_of_the_guide_that_need_a_recording_or_a_venue(recordings: Path, tmp_path: Path) -> None:
    shutil.copy(recordings / CAPTURE, tmp_path / "ETHUSDT-binance-spot.jsonl.gz")
    typed(tmp_path, "njord data import ETHUSDT-binance-spot.jsonl.gz")
    shown = typed(tmp_path, "njord data book book/binance/ETH-USDT --at 2024-08-08T23:56:00 --depth 5")
    assert "1,053 changes applied after 1 snapshots, 2 from before dropped, 0 holes" in shown
    market = Market(1_500, 2_000)
    with BinanceServer(market, VirtualTime(market.end_ms + 2_500)) as server:
        here = f" --endpoint {server.url}"
        bars = "njord data download --venue binanceus --symbol BTC/USDT --timeframe 1m --start 2023-11-14"
        trades = "njord data download --venue binanceus --symbol BTC/USDT --start 2023-11-14 --trades"
        assert "bars/binanceus/BTC-USDT/1m  1,500 rows" in typed(tmp_path, bars + here)
        assert "trades/binanceus/BTC-USDT  2,000 rows" in typed(tmp_path, trades + here)


@pytest.mark.long
def test_recordings_are_packed_except_what_is_held_open_and_come_in_whole(
    recordings: Path, tmp_path: Path
) -> None:
    data(tmp_path, "import", recordings / TRADES, "--venue", "kraken")
    digest = hashes(tmp_path)["trades/kraken/XRP-ETH"]
    folder = tmp_path / "recorded"
    folder.mkdir()
    with Store(tmp_path / "var/data").open("trades/kraken/XRP-ETH") as stored:
        name = folder / "md.trades.XRPETH.ndjson"
        for block in stored.chunks(size=5_000):
            with Recorder(name, DataKind.TRADES, stored.instrument) as recorder:
                recorder.append(block)
            packed = data(tmp_path, "compact", "--recordings", folder)
            assert len(packed["rotated"]["rotated"]) == 1
        held = sorted(folder.glob("*.ndjson"))[0]
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    with held.open("ab"):
        packed = data(tmp_path, "compact", "--recordings", folder)
    assert (len(packed["compressed"]["compressed"]), packed["compressed"]["n_open"]) == (2, 1)
    files = sorted(folder.iterdir())
    assert [path.suffix for path in files].count(".gz") == 2 and len(files) == 3
    for path in files:
        data(tmp_path, "import", path, "--store", tmp_path / "again")
    again = data(tmp_path, "list", "--store", tmp_path / "again")["datasets"]
    assert [each["hash"] for each in again] == [digest]


def typed(room: Path, command: str) -> str:
    return njord(room, *shlex.split(command)[1:])
