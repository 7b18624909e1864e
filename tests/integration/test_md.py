"""Live markets recorded: the recorded ETHUSDT capture through the local exchange and CCXT into the store, whole again."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest

from njord.adapters.clock import WallClock
from njord.apps.data_import import ImportRequest, import_files
from njord.apps.market_capture import CaptureOptions, MarketCapture
from njord.apps.market_files import Imported, MarketKeeper
from njord.data.book_replay import check_quotes
from njord.exchange.exchange import Exchange, ExchangeOptions
from njord.exchange.market_open import Replay, open_replay
from njord.exchange.server import ServedThread, serve_in_thread
from njord.storage.store.store import Store
from njord.venues.ccxt_feed import DEPTH, QUOTES, TRADES, CcxtStreams
from njord.venues.ccxt_history import open_binanceus
from njord.venues.rest import Patience
from tests.warm_njord import warm_njord

pytestmark = pytest.mark.integration

CAPTURE = "capture/ETHUSDT-binance-spot-20240808.jsonl.gz"
N_DROPS = 30
CALM_S = 4.0  # After the last cut.
WITHIN_S = 120.0  # Only what never comes takes so long.
N_BOTH_MIN = 40  # Update ids that the recording's quotes share with the changes: about two a recorded second.
NJORD = Path(sys.executable).with_name("njord")


@contextmanager
def served(recording: Path, speed: int) -> Iterator[tuple[Exchange, ServedThread]]:
    begin_ns = WallClock().now_ns()
    replay = Replay(data=(recording,), speed=Fraction(speed))
    with open_replay(replay, {}, begin_ns) as replayed:
        exchange = Exchange(replayed.market, (), ExchangeOptions(), begin_ns)
        exchange.advance(begin_ns)
        with serve_in_thread(exchange) as thread:
            yield exchange, thread


async def recorded(
    exchange: Exchange, thread: ServedThread, folder: Path, seconds: float, n_drops: int
) -> tuple[MarketCapture, list[str]]:
    """Record for so long while every connection is cut so often; return what came of it."""
    stored: list[Imported] = []
    notices: list[str] = []
    clock = WallClock()
    url = thread.address.rest
    with open_binanceus(clock, time.sleep, Random(1), endpoint=url, patience=Patience(n_attempts=4)) as venue:
        instrument = venue.instrument("ETH/USDT")
        capture = MarketCapture(
            venue,
            CcxtStreams("binanceus", [instrument], (TRADES, DEPTH, QUOTES), url),
            [instrument],
            MarketKeeper(folder / "captures", folder / "data", "binanceus", False, notices.append),
            lambda _: None,
            clock,
            Random(1),
            notices.append,
            stored.append,
            CaptureOptions(first_wait_s=0.02, wait_max_s=0.05, import_every_s=seconds / 3),
        )
        running = asyncio.create_task(capture.run())
        for _ in range(max(1, n_drops)):
            await asyncio.sleep(seconds / max(1, n_drops))
            before = capture.n_dials
            while n_drops and capture.n_dials <= before:  # While it dials there may be nothing to cut yet.
                await asyncio.to_thread(thread.call, exchange.operator.drop_streams)
                await asyncio.sleep(0.05)
        await asyncio.sleep(CALM_S)
        while not stored:  # What is recorded becomes datasets meanwhile.
            await asyncio.sleep(0.05)
        capture.request_stop("enough")
        await running
    return capture, notices


def columns(store: Path, dataset: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with Store(store).open(dataset) as rows:
        blocks = list(rows.chunks(columns=names))
    return {name: np.concatenate([block[name] for block in blocks]) for name in names}


@pytest.mark.parametrize(("n_drops", "seconds"), [(0, 2.0), (N_DROPS, 12.0)])
def test_trades_are_recorded_once_each_and_the_book_is_the_recordings_at_every_common_update(
    recordings: Path, tmp_path: Path, n_drops: int, seconds: float
) -> None:
    with served(recordings / CAPTURE, 12) as (exchange, thread):
        capture, notices = asyncio.run(recorded(exchange, thread, tmp_path, seconds, n_drops))
        url = thread.address.rest
        names = ("trade_id", "price_ticks", "qty_lots", "side")
        ours = columns(tmp_path / "data", "trades/binanceus/ETH-USDT", names)
        first, last = int(ours["trade_id"][0]), int(ours["trade_id"][-1])
        with open_binanceus(WallClock(), time.sleep, Random(1), endpoint=url) as venue:
            theirs: list[dict[str, np.ndarray]] = []
            while not theirs or theirs[-1]["trade_id"][-1] < last:
                begin = first if not theirs else int(theirs[-1]["trade_id"][-1]) + 1
                theirs.append(dict(venue.trades(venue.instrument("ETH/USDT"), begin, last + 1).columns))
    assert capture.n_dials >= max(1, n_drops), notices
    for name in names:
        assert np.array_equal(ours[name], np.concatenate([page[name] for page in theirs])), name
    assert np.array_equal(ours["trade_id"], np.arange(first, last + 1)), "a trade is missing or comes twice"
    status = capture.status()[0]
    assert status.counts.n_missing == 0
    assert status.is_whole
    _same_book(recordings, tmp_path)


def _same_book(recordings: Path, folder: Path) -> None:
    list(import_files(ImportRequest(paths=(recordings / CAPTURE,)), folder / "original", {}))
    with (
        Store(folder / "data").open("book/binanceus/ETH-USDT") as book,
        Store(folder / "original").open("quotes/binance/ETH-USDT") as quotes,
    ):
        assert book.instrument.lot_size == quotes.instrument.lot_size
        check = check_quotes(book.chunks(), quotes.chunks())
    assert check.n_both > N_BOTH_MIN
    assert check.n_equal == check.n_both, check.mismatches[:3]
    assert check.audit.is_synced


@contextmanager
def started(words: list[str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["event"] == "started"
        yield child


def grown(captures: Path, before: Path | None = None) -> None:
    """Wait until a capture other than `before` holds something of every stream."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        files = [path for path in captures.glob("*.jsonl") if path != before]
        if files and {b"aggTrade", b"depthUpdate", b'"B"'} <= {
            word for word in (b"aggTrade", b"depthUpdate", b'"B"') if word in files[-1].read_bytes()
        }:
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing was recorded in {captures}")


def test_the_verb_records_until_it_is_stopped_and_goes_on_where_it_was(
    recordings: Path, tmp_path: Path
) -> None:
    with served(recordings / CAPTURE, 4) as (
        _,
        thread,
    ):  # A slow machine starts two processes before it ends.
        words = [
            str(NJORD),
            "md",
            "ETH/USDT",
            "--endpoint",
            thread.address.rest,
            "--json",
            "--root",
            str(tmp_path),
        ]
        captures = tmp_path / "var" / "captures" / "binanceus" / "ETH_USDT"
        with started(words) as child:
            grown(captures)
            child.kill()  # What it had recorded lies there raw.
        (left,) = captures.glob("*.jsonl")
        with started(words) as child:
            grown(captures, left)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=WITHIN_S)
    assert child.returncode == 0, err
    ended = json.loads(out.splitlines()[-1])
    assert ended["reason"] == "signal SIGINT"
    paths = {row["path"] for row in ended["datasets"]}
    assert {f"{kind}/binanceus/ETH-USDT" for kind in ("trades", "book", "quotes")} <= paths
    ids = columns(tmp_path / "var" / "data", "trades/binanceus/ETH-USDT", ("trade_id",))["trade_id"]
    assert np.array_equal(ids, np.arange(ids[0], ids[-1] + 1)), "what was missed meanwhile was not fetched"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["BTC/USDT", "--venue", "nowhere"], "there is no live feed of 'nowhere'"),
        (["BTC/USDT", "--endpoint", "127.0.0.1:1"], "is not an address of a venue"),
        (["../etc"], "must be a symbol"),
        (["BTC/USDT", "--for", "never"], "--for never is no length of time"),
        (["BTC/USDT", "--import-every", "1s"], "--import-every must be 1m or longer"),
        (["BTC/USDT", "--endpoint", "http://127.0.0.1:1"], "connection"),
    ],
)
def test_what_can_not_be_recorded_is_one_line_and_writes_nothing(
    words: list[str], says: str, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [warm_njord(), "md", *words, "--root", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert ran.returncode in (2, 5), ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert says in ran.stderr
    assert not (tmp_path / "var" / "data").exists()
