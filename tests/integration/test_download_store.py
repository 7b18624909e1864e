"""Downloaded rows lie in the store with hash, certificate and rules; a killed download is completed by the next one."""

import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from njord.apps.download import download
from njord.apps.download_report import DownloadProgress, DownloadReport, DownloadRequest, Piece
from njord.apps.download_store import StoreSink
from njord.apps.download_venue import download_from
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_MINUTE
from njord.storage.certificate.certificate import decode_certificate
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store, StoredDataset
from njord.storage.store.verify import verify
from njord.venues.ccxt_history import open_binanceus
from tests.integration.binance_server import (
    NS_PER_MS,
    START_MS,
    Asked,
    BinanceServer,
    Market,
    Plan,
    VirtualTime,
)

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
START_NS = START_MS * NS_PER_MS
KEYS = {
    "bars": DatasetKey(DataKind.BARS, "binanceus", "BTC/USDT", "1m"),
    "trades": DatasetKey(DataKind.TRADES, "binanceus", "BTC/USDT"),
}
N_KILLS = int(os.environ.get("DOWNLOAD_KILLS", "2"))


def request_for(kind: str, n_minutes: int | None = None) -> DownloadRequest:
    return DownloadRequest(
        symbol="BTC/USDT",
        start_ns=START_NS,
        end_ns=None if n_minutes is None else START_NS + n_minutes * NS_PER_MINUTE,
        interval_ns=NS_PER_MINUTE if kind == "bars" else 0,
    )


def into_store(
    root: Path, server: BinanceServer, kind: str, n_minutes: int | None = None, piece_pages: int = 500
) -> DownloadReport:
    def quiet(progress: DownloadProgress) -> None:
        """Nobody looks."""

    with open_binanceus(server.time, server.time.sleep, Random(1), endpoint=server.url) as venue:
        sink = StoreSink(Store(root, create=True), KEYS[kind])
        return download(request_for(kind, n_minutes), venue, sink, server.time, quiet, piece_pages)


def opened(root: Path, kind: str) -> StoredDataset:
    return Store(root).open(KEYS[kind])


def a_market() -> Market:
    return Market(4_321, 5_432, missing_bars=[(700, 720)], missing_trades=[(1_500, 1_503)])


@pytest.mark.parametrize("kind", ["bars", "trades"])
def test_pieces_faults_and_interruptions_end_in_the_same_dataset(kind: str, tmp_path: Path) -> None:
    market = a_market()
    time = VirtualTime(market.end_ms + 2_500)
    with BinanceServer(market, time) as server:
        into_store(tmp_path / "at_once", server, kind)
    with BinanceServer(market, time, Plan(seed=5, share=0.4)) as server:
        report = into_store(tmp_path / "in_pieces", server, kind, n_minutes=2_000, piece_pages=1)
        assert report.n_commits >= 2
        into_store(tmp_path / "in_pieces", server, kind, piece_pages=2)
    with opened(tmp_path / "at_once", kind) as one, opened(tmp_path / "in_pieces", kind) as other:
        assert one.hash == other.hash
        assert verify(one) == verify(other) == []
        expected = market.closed_bars() if kind == "bars" else market.trades
        for name, values in other.read().items():
            assert np.array_equal(values, expected[name]), name
        assert one.certificate is not None
        assert other.certificate == one.certificate
        certificate = decode_certificate(one.certificate)
        assert certificate.dataset_hash == one.hash
        assert certificate.n_rows == len(expected["ts_open_ns" if kind == "bars" else "ts_ns"])
        assert sum(source.n_added for source in other.manifest.sources) == other.n_rows
        sink = StoreSink(Store(tmp_path / "in_pieces"), KEYS[kind])
        if kind == "bars":
            gap = (START_NS + 700 * NS_PER_MINUTE, START_NS + 720 * NS_PER_MINUTE)
            end = START_NS + 4_321 * NS_PER_MINUTE
            assert sink.missing_ranges(START_NS, end, NS_PER_MINUTE) == [gap]
            assert sink.missing_ranges(gap[0] + NS_PER_MINUTE, gap[1], NS_PER_MINUTE) == [
                (gap[0] + NS_PER_MINUTE, gap[1])
            ]
        else:
            assert sink.missing_ranges(5_000, 5_000 + 5_432, 1) == [(6_500, 6_503)]
            assert sink.missing_ranges(4_990, 10_440, 1) == [(4_990, 5_000), (6_500, 6_503), (10_432, 10_440)]
        assert [rule.instrument.tick_size for rule in other.manifest.rules] == [Decimal("0.01")]


# Each process imports CCXT: seconds of work on a busy machine. The full count: DOWNLOAD_KILLS=20.
@pytest.mark.timeout(60 + 60 * N_KILLS)
@pytest.mark.parametrize("kind", ["bars", "trades"])
def test_killed_at_any_request_the_next_download_ends_with_the_same_hash(kind: str, tmp_path: Path) -> None:
    n_rows = 2_000 * N_KILLS + 321
    market = Market(n_rows, n_rows, seed=2, missing_bars=[(700, 720)], missing_trades=[(1_500, 1_503)])
    time = VirtualTime(market.end_ms + 2_500)
    with BinanceServer(market, time) as server:
        into_store(tmp_path / "whole", server, kind)
    chance = Random(7)
    child: list[subprocess.Popen[bytes]] = []
    left = [0]
    n_killed = 0

    def count_down(asked: Asked) -> None:
        if asked.path in ("klines", "aggTrades") and asked.query.get("limit") == "1000":
            left[0] -= 1
            if left[0] == 0:
                # Somewhere between this request and the next ones: in the network, in a commit, after it.
                threading.Timer(0.06 * chance.random(), child[-1].kill).start()

    killed = tmp_path / "killed"
    with BinanceServer(market, VirtualTime(market.end_ms + 2_500), on_request=count_down) as server:
        for run in range(N_KILLS + 1):
            left[0] = chance.randint(1, 3) if run < N_KILLS else 0
            command = [
                sys.executable,
                "-m",
                "tests.integration.download_child",
                str(killed),
                server.url,
                kind,
                "1",
            ]
            child.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE))
            _, said = child[-1].communicate(timeout=200)
            was_killed = child[-1].returncode == -signal.SIGKILL
            assert was_killed or child[-1].returncode == 0, said
            n_killed += was_killed
    assert n_killed >= N_KILLS // 2
    assert not was_killed
    with opened(tmp_path / "whole", kind) as whole, opened(killed, kind) as other:
        assert other.hash == whole.hash
        assert verify(other) == []


def test_a_price_off_the_stored_grid_is_counted_named_and_carried_on(tmp_path: Path) -> None:
    market = Market(3_000)
    market.bars["high"][1_234] += 100
    time = VirtualTime(market.end_ms + 2_500)
    store = Store(tmp_path, create=True)
    with BinanceServer(market, time) as server:
        # The dataset was begun when the tick was 1.
        with open_binanceus(time, time.sleep, Random(1), endpoint=server.url) as venue:
            coarse = msgspec.structs.replace(venue.instrument("BTC/USDT"), tick_size=Decimal(1))
        first = {
            name: values[:1] // (1 if name in ("ts_open_ns", "volume_lots") else 100)
            for name, values in market.bars.items()
        }
        StoreSink(store, KEYS["bars"]).write(
            first, Piece(instrument=coarse, venue_instrument=coarse, venue_now_ns=START_NS)
        )
        report = into_store(tmp_path, server, "bars", n_minutes=2_000)
        off_grid = report.off_grid.n
        assert off_grid > 1_900
        later = into_store(tmp_path, server, "bars")
    assert report.instrument == coarse
    assert report.venue_instrument.tick_size == Decimal("0.01")
    with opened(tmp_path, "bars") as stored:
        assert stored.n_rows == 3_000
        assert stored.certificate is not None
        certificate = decode_certificate(stored.certificate)
        assert certificate.facts.off_grid.n == off_grid + later.off_grid.n
        assert certificate.n_of("off_grid") == off_grid + later.off_grid.n
        assert [rule.instrument.tick_size for rule in stored.manifest.rules] == [Decimal(1), Decimal("0.01")]
        row = {name: int(values[1_234]) for name, values in stored.read().items()}
    assert row["close"] == round(int(market.bars["close"][1_234]) / 100)


def test_a_download_of_nothing_leaves_no_dataset(tmp_path: Path) -> None:
    market = Market(100, missing_bars=[(0, 50)])
    time = VirtualTime(market.end_ms + 2_500)
    with BinanceServer(market, time) as server:
        report = into_store(tmp_path, server, "bars", n_minutes=50)
    assert (report.n_rows, report.n_commits) == (0, 0)
    assert [gap.n_missing for gap in report.gaps] == [50]
    assert Store(tmp_path).datasets() == []


def test_one_call_does_it_all_and_a_wrong_name_leaves_no_dataset(tmp_path: Path) -> None:
    market = Market(1_500, missing_bars=[(10, 12)])
    store = Store(tmp_path, create=True)
    request = request_for("bars")
    with BinanceServer(market, VirtualTime(market.end_ms + 2_500)) as server:

        def fetch(venue: str, wanted: DownloadRequest) -> tuple[DownloadReport, str]:
            return download_from(venue, wanted, lambda: store, server.url, lambda how_far: None)

        with pytest.raises(ConfigError, match="kraken"):
            fetch("kraken", request)
        with pytest.raises(
            ConfigError, match="--symbol BTC/EUR is not traded at binanceus; did you mean BTC/USD"
        ):
            fetch("binanceus", msgspec.structs.replace(request, symbol="BTC/EUR"))
        with pytest.raises(ConfigError, match="no bars of 7 minutes"):
            fetch("binanceus", msgspec.structs.replace(request, interval_ns=7 * NS_PER_MINUTE))
        assert store.datasets() == []
        report, path = fetch("binanceus", request)
    assert path == KEYS["bars"].path
    assert report.notes() == [
        "the venue has no bars between 2023-11-14T22:24:00Z and 2023-11-14T22:26:00Z (2 missing)"
    ]
    with opened(tmp_path, "bars") as stored:
        assert stored.n_rows == report.n_rows == 1_498
