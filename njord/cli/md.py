"""`njord md`: live markets into the store, from flags to the last line."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from njord.adapters.config_loader import load_config
from njord.adapters.logging import register_secrets, setup_logging
from njord.apps.market_capture import CaptureOptions, MarketCapture, MarketStatus
from njord.apps.market_files import CAPTURES, Imported
from njord.apps.market_wiring import CaptureWiring, check_reachable, open_market_capture
from njord.cli import EXIT_OK
from njord.cli.data_import import print_stored, stored_row
from njord.cli.data_store import store_folder
from njord.cli.node_run import Stopper, on_signals, open_outlet
from njord.cli.outlet import Outlet
from njord.core.config import check_symbol
from njord.core.errors import ConfigError, UserError
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.storage.bars_text import one_line
from njord.storage.interval import parse_timeframe

_WRITTEN_WITHIN_S = 2.0
_SCREEN_EVERY_S, _LINES_EVERY_S = 0.5, 10.0
_MIB = 2**20


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags as they were typed."""

    symbols: tuple[str, ...]
    venue: str | None
    endpoint: str | None
    duration: str | None
    import_every: str
    keep: bool


def run(flags: Flags, store: Path | None, json_out: bool, root: Path) -> int:
    """Run the verb and return its exit code."""
    loaded = load_config(root)
    config = loaded.config
    venue = flags.venue or config.exchange.venue
    check_reachable(venue, flags.endpoint)
    symbols = tuple(dict.fromkeys(_symbol(each) for each in flags.symbols or config.exchange.symbols))
    seconds = None if flags.duration is None else _span_ns("--for", flags.duration) / NS_PER_S
    every_ns = _span_ns("--import-every", flags.import_every)
    if every_ns < NS_PER_MINUTE:
        raise ConfigError(
            f"--import-every must be 1m or longer, was {one_line(flags.import_every)}", "for example 1h"
        )
    setup_logging(root / config.logging.dir, config.logging.level)
    register_secrets(loaded.secrets)
    stopper = Stopper()
    outlet = open_outlet(sys.stdout, json_out, stopper.stop)
    say = _Say(outlet, json_out)
    folder = store_folder(store, root)
    stored: list[Imported] = []
    wiring = CaptureWiring(
        venue=venue,
        symbols=symbols,
        endpoint=flags.endpoint,
        captures=root / config.paths.var / CAPTURES,
        store=folder,
        keeps_raw=flags.keep,
        options=CaptureOptions(import_every_s=every_ns / NS_PER_S),
    )
    try:
        with open_market_capture(wiring, say.notice, stored.append) as capture, on_signals(stopper.stop):
            say.started(venue, symbols, flags.endpoint, wiring.captures / venue, folder)
            asyncio.run(_recorded(capture, say, stopper, seconds))
        say.ended(capture.stop_reason, stored)
    finally:
        outlet.end(_WRITTEN_WITHIN_S)
    return EXIT_OK


def _span_ns(flag: str, text: str) -> int:
    try:
        return parse_timeframe(text)
    except UserError:
        raise ConfigError(
            f"{flag} {one_line(text)} is no length of time", "write it like 10m or 1h"
        ) from None


def _symbol(text: str) -> str:
    try:
        return check_symbol(text)
    except ValueError as error:
        raise ConfigError(f"{one_line(text)!r} {error}", "for example njord md BTC/USDT") from None


async def _recorded(capture: MarketCapture, say: "_Say", stopper: Stopper, seconds: float | None) -> None:
    stopper.bind(capture)
    drawing = asyncio.create_task(_draw(capture, say))
    timer = (
        None
        if seconds is None
        else asyncio.get_running_loop().call_later(seconds, stopper.stop, "time is up")
    )
    try:
        await capture.run()
    finally:
        drawing.cancel()
        if timer is not None:
            timer.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        say.status(capture.status())


async def _draw(capture: MarketCapture, say: "_Say") -> None:
    while True:
        await asyncio.sleep(say.every_s)
        say.status(capture.status())


class _Say:
    """Everything that is said: lines for people, or one JSON object a line."""

    def __init__(self, outlet: Outlet, json_out: bool) -> None:
        self._outlet = outlet
        self._json_out = json_out
        self._is_screen = not json_out and outlet.isatty()
        self.every_s = _SCREEN_EVERY_S if self._is_screen else _LINES_EVERY_S

    def _put(self, event: dict[str, Any], lines: Sequence[str]) -> None:
        if self._json_out:
            self._outlet.write(msgspec.json.encode(event).decode() + "\n")
            return
        for line in lines:
            self._outlet.write((f"\r\x1b[K{line}" if self._is_screen else line) + "\n")

    def started(
        self, venue: str, symbols: Sequence[str], endpoint: str | None, raw: Path, store: Path
    ) -> None:
        where = f" at {endpoint}" if endpoint else ""
        self._put(
            {
                "event": "started",
                "venue": venue,
                "symbols": symbols,
                "endpoint": endpoint,
                "store": str(store),
            },
            [
                f"records  trades, book and quotes of {', '.join(symbols)} from {venue}{where}",
                f"raw      {raw}; datasets in {store}",
                "stop     Ctrl-C finishes the datasets; the same command goes on later",
            ],
        )

    def notice(self, text: str) -> None:
        structlog.get_logger("md").warning("feed", notice=text)
        self._put({"event": "feed", "message": text}, [f"look     {text}"])

    def status(self, markets: Sequence[MarketStatus]) -> None:
        if self._json_out:
            for market in markets:
                self._put({"event": "status", **msgspec.to_builtins(market)}, [])
        elif self._is_screen and len(markets) == 1:
            self._outlet.write(f"\r\x1b[K{_line(markets[0])}")
        else:
            self._put({}, [_line(market) for market in markets])

    def ended(self, reason: str, stored: Sequence[Imported]) -> None:
        newest = {each.path: each for done in stored for each in done}
        if self._json_out:
            self._put(
                {
                    "event": "ended",
                    "reason": reason,
                    "datasets": [stored_row(each) for each in newest.values()],
                },
                [],
            )
            return
        self._put({}, [f"ended    {reason}"])
        self._outlet.end(_WRITTEN_WITHIN_S)
        for each in newest.values():
            print_stored(each)


def _line(market: MarketStatus) -> str:
    counts = market.counts
    state = "connected" if market.is_connected else "not connected"
    book = "book in step" if market.is_in_step else "book waits for a snapshot"
    age = "nothing yet" if market.age_s is None else f"{market.age_s:.1f} s ago"
    top = f"{market.top[0]} | {market.top[1]}" if market.top[0] else "no quote yet"
    return (
        f"{market.symbol}  {state}, {book}, {age}  {top}  {counts.n_trades:,} trades"
        f" ({market.n_backfilled:,} fetched, {counts.n_missing:,} missing), {counts.n_depth:,} changes,"
        f" {counts.n_quotes:,} quotes, {market.n_gaps} gaps, {market.n_dials} dials, {market.n_bytes / _MIB:.1f} MiB"
    )
