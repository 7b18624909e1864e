"""What does a bare file of bars trade? In: its name, the user's flags, configured instruments. Out: one Instrument.

Flags win over configuration, configuration over inference (decision 19). Whatever was inferred comes back as a
sentence for the report.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import ZERO, plain
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line

_SYMBOL = re.compile(r"(?P<base>[A-Z0-9.]{1,20})/(?P<quote>[A-Z0-9.]{1,20})(:(?P<settle>[A-Z0-9.]{1,20}))?")
_SUFFIXES = re.compile(r"(\.(csv|gz|parquet|pq|feather|arrow|ipc|txt|tsv))+$", re.IGNORECASE)
_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB", "DAI", "TRY", "BRL", "AUD", "KRW", "CHF", "CAD")  # fmt: skip
_PLAIN_WORD_QUOTES = (
    "USDT",
    "USDC",
    "FDUSD",
    "TUSD",
    "BUSD",
    "USD",
    "BTC",
)  # Safe at the end of lower-case words.
_NOT_ASSETS = frozenset(
    [
        "BAR",
        "BARS",
        "DATA",
        "OHLC",
        "OHLCV",
        "CANDLE",
        "CANDLES",
        "KLINE",
        "KLINES",
        "TRADES",
        "PRICE",
        "PRICES",
        "SPOT",
        "FUTURES",
        "DEMO",
        "TEST",
        "SAMPLE",
        "FILE",
        "BINANCE",
        "BINANCEUS",
        "COINBASE",
        "KRAKEN",
        "BITSTAMP",
        "BITFINEX",
        "GEMINI",
        "OKX",
        "BYBIT",
        "FTX",
        "KUCOIN",
        "GATEIO",
        "THE",
        "MY",
        "OLD",
        "NEW",
    ]
)
_UNKNOWN = "ASSET/QUOTE"
DEFAULT_LOT = Decimal("1e-8")
_STEP_MAX = 10**15


def parse_symbol(text: str) -> str:
    """Return `text` as a CCXT unified symbol in capitals.

    Raises:
        DataError: It is not BASE/QUOTE or BASE/QUOTE:SETTLE.
    """
    symbol = text.strip().upper()
    if not _SYMBOL.fullmatch(symbol):
        raise DataError(
            f"symbol {one_line(text)!r} is not BASE/QUOTE",
            "write it like BTC/USDT, or BTC/USD:USD for a contract",
        )
    return symbol


def symbol_of_name(file_name: str) -> tuple[str | None, str]:
    """Return the symbol that a file name shows, and the part that showed it; (None, "") if there is none."""
    tokens = re.split(r"[^A-Za-z0-9]+", _SUFFIXES.sub("", file_name))
    upper = [token.upper() for token in tokens]
    for index, token in enumerate(upper):
        after = upper[index + 1] if index + 1 < len(upper) else ""
        if not _is_asset(token):
            continue
        fused = _split_fused(tokens[index])
        if after == "PERP":
            base, quote = fused or (token, "USD")
            return f"{base}/{quote}:{quote}", f"{tokens[index]}-{tokens[index + 1]}"
        if fused and after not in _QUOTES:
            return f"{fused[0]}/{fused[1]}", tokens[index]
        if after in _QUOTES and after != token:
            settled = index + 2 < len(upper) and upper[index + 2] == after
            return f"{token}/{after}" + (
                f":{after}" if settled else ""
            ), f"{tokens[index]}_{tokens[index + 1]}"
    return None, ""


def choose_symbol(options: BarOptions, file_name: str) -> tuple[str, list[str]]:
    """Return the symbol and what was assumed in choosing it."""
    if options.symbol is not None:
        return parse_symbol(options.symbol), []
    found, shown_by = symbol_of_name(file_name)
    if found is None:
        return _UNKNOWN, [
            f"The file name shows no symbol, so it is called {_UNKNOWN} (change with --symbol)."
        ]
    return found, [f"Symbol {found} is read from the file name ({shown_by}; change with --symbol)."]


def choose_instrument(
    options: BarOptions, symbol: str, instruments: Mapping[str, Instrument], infer_tick: Callable[[], Decimal]
) -> tuple[Instrument, list[str]]:
    """Return the instrument of a file and what was assumed about it.

    Args:
        options: The user's flags.
        symbol: Already chosen and valid.
        instruments: Configured instruments by symbol.
        infer_tick: Called only when neither flag nor configuration gives the tick.

    Raises:
        DataError: A step is not positive, or no tick can be inferred.
    """
    _check_steps(options)
    known = instruments.get(symbol)
    said: list[str] = []
    if known is not None:
        changes: dict[str, Any] = {
            "tick_size": options.tick,
            "lot_size": options.lot,
            "min_notional": options.min_notional,
        }
        instrument = msgspec.structs.replace(
            known, **{name: value for name, value in changes.items() if value is not None}
        )
        said.append(
            f"Tick {plain(instrument.tick_size)}, lot {plain(instrument.lot_size)} and minimum notional "
            f"{plain(instrument.min_notional)} are those configured for {known.id}, flags applied."
        )
    else:
        tick, lot = options.tick, options.lot
        if tick is None:
            tick = infer_tick()
            said.append(f"Tick {plain(tick)} is inferred from the prices (change with --tick).")
        if lot is None:
            lot = DEFAULT_LOT
            said.append(f"Lot {plain(lot)} is assumed (change with --lot).")
        if options.min_notional is None:
            said.append("No minimum notional is assumed (change with --min-notional).")
        instrument = _bare_instrument(symbol, options, tick, lot)
    return instrument, said


def _bare_instrument(symbol: str, options: BarOptions, tick: Decimal, lot: Decimal) -> Instrument:
    match = _SYMBOL.fullmatch(symbol)
    assert match is not None
    return Instrument(
        symbol=symbol,
        venue=options.venue,
        base=match["base"],
        quote=match["quote"],
        tick_size=tick,
        lot_size=lot,
        min_notional=options.min_notional if options.min_notional is not None else ZERO,
        kind=InstrumentKind.LINEAR if match["settle"] else InstrumentKind.SPOT,
    )


def _check_steps(options: BarOptions) -> None:
    steps = (("--tick", options.tick), ("--lot", options.lot), ("--min-notional", options.min_notional))
    for flag, value in steps:
        if value is None:
            continue
        least = ">= 0" if flag == "--min-notional" else "> 0"
        enough = value.is_finite() and (value > 0 or (value == 0 and least == ">= 0"))
        if not enough or value > _STEP_MAX:
            raise DataError(
                f"{flag} must be {least} and at most {_STEP_MAX}, was {one_line(value)}",
                f"write it like {flag} 0.01",
            )


def _is_asset(token: str) -> bool:
    return 2 <= len(token) <= 20 and token not in _NOT_ASSETS and not token.isdigit()


def _split_fused(token: str) -> tuple[str, str] | None:
    upper = token.upper()
    for quote in _QUOTES if token.isupper() else _PLAIN_WORD_QUOTES:
        if upper.endswith(quote) and _is_asset(base := upper[: -len(quote)]):
            return base, quote
    return None
