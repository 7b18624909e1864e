"""What does a session trade on? Strategies, data and flags in; the prepared run and how its feed is made out.

Either a recording at a pace, or the public feed of an exchange, which needs no keys. A live feed is loaded only where
it is asked for: CCXT takes seconds.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from njord.adapters.config_loader import LoadedConfig
from njord.apps.paced_feed import BlockFeed, PacedFeed, parse_speed
from njord.apps.session import Session
from njord.backtest.session import prepare
from njord.backtest.simulation import Prepared, has_ticks
from njord.cli.flags import FileFlags, known_instruments
from njord.cli.request import Flags, request_of
from njord.core.config_shapes import paper_config
from njord.core.errors import ConfigError
from njord.storage.interval import parse_timeframe

SPEED = "60x"
TIMEFRAME = "1m"
_OF_FILES = tuple(name for name in FileFlags.__struct_fields__ if name not in ("symbol", "timeframe"))


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the session itself, as it was typed."""

    replay: str | None = None
    feed: str | None = None
    endpoint: str | None = None
    session: str | None = None
    fresh: bool = False
    json_out: bool = False


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A prepared run and where its market comes from.

    Attributes:
        feed: Makes the feed of a session that was opened.
        is_live: Nobody else records it.
        speed: Of a recording; None = as fast as possible.
        pace: The same in words.
    """

    prepared: Prepared
    feed: Callable[[Session], BlockFeed]
    is_live: bool
    speed: float | None
    pace: str


@contextmanager
def opened(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    wanted: Wanted,
    loaded: LoadedConfig,
    root: Path,
    notice: Callable[[str], None],
) -> Iterator[Source]:
    """Open what a session trades on, and close it again.

    Args:
        strategies: As typed.
        data: Likewise; none with a live feed.
        flags: Of the run.
        wanted: Of the session.
        loaded: The configuration.
        root: The folder that njord runs in.
        notice: Told in one line each of trouble with a live feed.

    Raises:
        UserError: Something that was typed can not be; one line says what.
        VenueError: The exchange refuses, or can not be reached.
    """
    if wanted.feed is None:
        if wanted.endpoint is not None:
            raise ConfigError("--endpoint is for --feed", "for example --feed binanceus --endpoint URL")
        if not data:
            raise ConfigError(
                "nothing to trade on: neither --data nor --feed is given",
                "for example --data bars.csv, or --feed binanceus",
            )
        with _recorded(strategies, data, flags, wanted, loaded, root) as source:
            yield source
        return
    _check_live(data, flags, wanted)
    with _followed(strategies, flags, wanted, loaded, notice) as source:
        yield source


@contextmanager
def _recorded(
    strategies: tuple[str, ...],
    data: tuple[Path, ...],
    flags: Flags,
    wanted: Wanted,
    loaded: LoadedConfig,
    root: Path,
) -> Iterator[Source]:
    speed = parse_speed(SPEED if wanted.replay is None else wanted.replay)
    config = paper_config(loaded.config)
    request = request_of(strategies, data, flags, config, root)
    prepared = prepare(request, config, known_instruments(root, config.exchange.venue))
    with prepared.market:
        yield Source(
            prepared=prepared,
            feed=lambda _: PacedFeed(prepared.market, speed, warm_up_rows(prepared)),
            is_live=False,
            speed=speed,
            pace="a recording at full speed" if speed is None else f"a recording at {speed:g}x",
        )


@contextmanager
def _followed(
    strategies: tuple[str, ...],
    flags: Flags,
    wanted: Wanted,
    loaded: LoadedConfig,
    notice: Callable[[str], None],
) -> Iterator[Source]:
    from njord.apps.live_feed import LiveRequest, LiveVenue

    config = paper_config(loaded.config)
    timeframe = flags.timeframe or TIMEFRAME
    followed = LiveRequest(
        venue=wanted.feed or "",
        symbols=config.exchange.symbols if flags.symbol is None else (flags.symbol,),
        interval_ns=parse_timeframe(timeframe),
        endpoint=wanted.endpoint,
    )
    with LiveVenue(followed, notice) as venue:
        yield Source(
            prepared=venue.prepare(request_of(strategies, (), flags, config, Path()), config),
            feed=venue.feed,
            is_live=True,
            speed=None,
            pace=f"live from {followed.venue}, bars of {timeframe}",
        )


def _check_live(data: tuple[Path, ...], flags: Flags, wanted: Wanted) -> None:
    if data:
        raise ConfigError("--data and --feed exclude each other", "give one: a recording, or an exchange")
    if wanted.replay is not None:
        raise ConfigError(
            "--replay is the speed of a recording, a live feed comes as it comes", "leave --replay out"
        )
    typed = [name for name in (*_OF_FILES, "repair", "start", "end") if getattr(flags, name)]
    if typed:
        raise ConfigError(
            f"--{typed[0].replace('_', '-').removesuffix('s')} describes a file, --feed has none",
            "leave it out",
        )


def warm_up_rows(prepared: Prepared) -> int:
    """Return how many messages strategies only see to warm up: of bars, which all of the instruments share."""
    if has_ticks(prepared.market):
        return 0
    n_bars = max(strategy.loaded.cls(strategy.params).warm_up() for strategy in prepared.strategies)
    return n_bars * len(prepared.spec.instruments)
