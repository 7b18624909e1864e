"""How does a recording of live markets come about? A venue's name and folders in; a `MarketCapture` that can run out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from njord.adapters.clock import WallClock
from njord.apps.download_venue import VENUES
from njord.apps.market_capture import CaptureOptions, MarketCapture
from njord.apps.market_files import Imported, MarketKeeper
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.storage.bars_text import one_line
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind
from njord.storage.store.store import MARKER, Store
from njord.venues.ccxt_feed import DEPTH, QUOTES, TRADES, CcxtStreams
from njord.venues.ccxt_rest import parse_endpoint
from njord.venues.rest import Patience

_PATIENCE = Patience(n_attempts=4)  # What is missing is asked for again anyway.


class CaptureWiring(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded, and where it goes.

    Attributes:
        venue: Its name.
        symbols: CCXT unified.
        endpoint: Another address that speaks its dialect; None = the venue itself.
        captures: The folder of raw captures.
        store: That of the store.
        keeps_raw: Whether raw captures stay once they were imported.
        options: How patient it is.
    """

    venue: str
    symbols: tuple[str, ...]
    endpoint: str | None
    captures: Path
    store: Path
    keeps_raw: bool
    options: CaptureOptions


def check_reachable(venue: str, endpoint: str | None) -> None:
    """Refuse a venue or an address that is none, before CCXT is loaded, which takes seconds.

    Raises:
        ConfigError: It is none.
    """
    if venue not in VENUES:
        raise ConfigError(
            f"there is no live feed of {one_line(venue)!r}", f"known venues: {', '.join(sorted(VENUES))}"
        )
    if endpoint is not None:
        parse_endpoint(endpoint)


@contextmanager
def open_market_capture(
    wiring: CaptureWiring, notice: Callable[[str], None], on_stored: Callable[[Imported], None]
) -> Iterator[MarketCapture]:
    """Open the venue, and let go of it again.

    Args:
        wiring: What is recorded.
        notice: Told of trouble in one line each.
        on_stored: Told of what was put in the store.

    Raises:
        ConfigError: The venue does not know a symbol.
        VenueError: It refuses, or can not be reached.
    """
    clock = WallClock()
    chance = Random(clock.now_ns())  # Only the spread of what is repeated hangs on chance.
    with VENUES[wiring.venue](
        clock, time.sleep, chance, endpoint=wiring.endpoint, patience=_PATIENCE
    ) as history:
        instruments = [history.instrument(symbol) for symbol in wiring.symbols]
        yield MarketCapture(
            history,
            CcxtStreams(wiring.venue, instruments, (TRADES, DEPTH, QUOTES), wiring.endpoint),
            instruments,
            MarketKeeper(wiring.captures, wiring.store, wiring.venue, wiring.keeps_raw, notice),
            lambda instrument: _last_id(wiring.store, wiring.venue, instrument),
            clock,
            chance,
            notice,
            on_stored,
            wiring.options,
        )


def _last_id(folder: Path, venue: str, instrument: Instrument) -> int | None:
    key = DatasetKey(DataKind.TRADES, venue, instrument.symbol, "")
    if not (folder / MARKER).exists() or not (folder / key.path).exists():
        return None
    last: int | None = None
    with Store(folder).open(key.path) as stored:
        for block in stored.chunks(columns=("trade_id",)):
            last = max(int(block["trade_id"].max()), -1 if last is None else last)
    return last
