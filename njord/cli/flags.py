"""From what was typed to what is meant: numbers, times, column names and instruments; a mistake is one line."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from njord.adapters.config_loader import load_config, load_instruments
from njord.adapters.iso_time import iso_ns
from njord.core.config import check_number
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.storage.bars_options import BarOptions

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FileFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What may be typed about a file of market data, as it was typed."""

    symbol: str | None = None
    tick: str | None = None
    lot: str | None = None
    min_notional: str | None = None
    timeframe: str | None = None
    columns: tuple[str, ...] = ()
    time_unit: str | None = None
    timezone: str | None = None
    time_is_close: bool = False

    def options(self, *, repair: bool, venue: str | None = None) -> BarOptions:
        """Return what is meant.

        Raises:
            ConfigError: A number is none, or a column's name no pair.
        """
        return BarOptions(
            symbol=self.symbol,
            venue=venue or BarOptions().venue,
            tick=parse_number("--tick", self.tick),
            lot=parse_number("--lot", self.lot),
            min_notional=parse_number("--min-notional", self.min_notional),
            timeframe=self.timeframe,
            columns=parse_columns(self.columns),
            time_unit=self.time_unit,
            timezone=self.timezone,
            time_is_close=self.time_is_close,
            repair=repair,
        )


def parse_number(flag: str, text: str | None) -> Decimal | None:
    """Return a flag's number.

    Raises:
        ConfigError: It is none.
    """
    if text is None:
        return None
    try:
        return check_number(text)
    except ValueError as error:
        raise ConfigError(f"{flag} {error}, was {text:.40}", f"for example {flag} 0.01") from None


def parse_time(flag: str, text: str | None) -> int | None:
    """Return a flag's ISO 8601 time as nanoseconds since 1970; UTC unless it says otherwise.

    Raises:
        ConfigError: It is none.
    """
    if text is None:
        return None
    try:
        return iso_ns(text)
    except ValueError:
        raise ConfigError(
            f"{flag} takes an ISO 8601 time, was {text!r}", f"for example {flag} 2024-01-31T12:00:00"
        ) from None


def parse_columns(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of `--column ours=theirs`.

    Raises:
        ConfigError: One is no pair.
    """
    pairs = []
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not equals or not theirs:
            raise ConfigError(f"--column takes name=column, was {text!r}", "for example --column time=ts")
        pairs.append((ours, theirs))
    return tuple(pairs)


def known_instruments(root: Path, venue: str | None = None) -> dict[str, Instrument]:
    """Return the configured instruments by symbol; where several venues know one, the rules of `venue` are taken.

    A bare file says no venue: without one the configured one is meant.
    """
    known = load_instruments(root).values()
    wanted = venue or load_config(root).config.exchange.venue
    others = {instrument.symbol: instrument for instrument in known if instrument.venue != wanted}
    return others | {instrument.symbol: instrument for instrument in known if instrument.venue == wanted}
