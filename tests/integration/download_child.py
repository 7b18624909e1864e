"""A download into a store, in a process of its own, to be killed: folder, endpoint, kind and pages per commit."""

import sys
import time
from pathlib import Path
from random import Random

from njord.adapters.clock import WallClock
from njord.apps.download import download
from njord.apps.download_report import DownloadRequest
from njord.apps.download_store import StoreSink
from njord.core.units import NS_PER_MINUTE
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from njord.venues.ccxt_history import open_binanceus
from tests.integration.binance_server import NS_PER_MS, START_MS


def main(folder: str, endpoint: str, kind: str, piece_pages: str) -> None:
    is_bars = kind == "bars"
    request = DownloadRequest(
        symbol="BTC/USDT", start_ns=START_MS * NS_PER_MS, interval_ns=NS_PER_MINUTE if is_bars else 0
    )
    key = DatasetKey(DataKind(kind), "binanceus", "BTC/USDT", "1m" if is_bars else "")
    clock = WallClock()
    with open_binanceus(clock, time.sleep, Random(0), endpoint=endpoint) as venue:
        sink = StoreSink(Store(Path(folder), create=True), key)
        download(request, venue, sink, clock, lambda progress: None, piece_pages=int(piece_pages))


if __name__ == "__main__":
    main(*sys.argv[1:])
