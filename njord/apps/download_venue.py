"""Which venues have a history to download, and how is one opened for it?"""

import time
from collections.abc import Callable
from random import Random

from njord.adapters.clock import WallClock
from njord.apps.download import download
from njord.apps.download_report import DownloadProgress, DownloadReport, DownloadRequest
from njord.apps.download_store import StoreSink
from njord.core.errors import ConfigError
from njord.storage.bars_text import one_line, show_interval
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import Store
from njord.venues.ccxt_history import open_binanceus
from njord.venues.ccxt_rest import parse_endpoint

VENUES = {"binanceus": open_binanceus}


def download_from(
    venue: str,
    request: DownloadRequest,
    open_store: Callable[[], Store],
    endpoint: str | None,
    progress: Callable[[DownloadProgress], None],
) -> tuple[DownloadReport, str]:
    """Fetch what the store is missing of `request` and return the report and the dataset's path.

    Args:
        venue: Its name.
        request: What to fetch.
        open_store: Opens or creates the store; called once the venue has proved to know the symbol.
        endpoint: Another address that speaks the venue's dialect; None = the venue itself.
        progress: Called after every answer.

    Raises:
        ConfigError: The venue, the symbol or the interval is not known.
        VenueError: The venue refuses, or can not be reached; what came until then is committed.
    """
    if venue not in VENUES:
        raise ConfigError(
            f"no history can be downloaded from {one_line(venue)!r}",
            f"known venues: {', '.join(sorted(VENUES))}; files of others come in with: njord data import",
        )
    if endpoint is not None:
        parse_endpoint(endpoint)  # Before CCXT is loaded, which takes seconds.
    kind = DataKind.BARS if request.interval_ns else DataKind.TRADES
    timeframe = show_interval(request.interval_ns) if request.interval_ns else ""
    key = DatasetKey(kind, venue, request.symbol, timeframe)
    clock = WallClock()
    # Only the spread of repeated requests hangs on chance, never a row.
    chance = Random(clock.now_ns())
    with VENUES[venue](clock, time.sleep, chance, endpoint=endpoint) as history:
        history.instrument(request.symbol)
        return download(request, history, StoreSink(open_store(), key), clock, progress), key.path
