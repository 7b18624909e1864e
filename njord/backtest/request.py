"""What does the user want to run? Strategies as they were typed, data and parameters in; names, ids and symbols out."""

import re
import traceback
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from njord.adapters.plugins import LoadedStrategy, load_strategy
from njord.backtest.market import Market
from njord.core.contracts import VENUE
from njord.core.errors import ConfigError, StrategyError
from njord.core.instrument import Instrument
from njord.core.registry import nearest, parse_params
from njord.storage.bars_options import BarOptions
from njord.strategies.base import Strategy, StrategyParams

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ON_TICKS = ("on_trade", "on_book")
_TYPED = re.compile(rf"(?:(?P<id>{_ID.pattern})=)?(?P<name>[^@]+)(?:@(?P<symbols>[^@]*))?")


class BacktestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for, beyond the configuration.

    Attributes:
        strategy: One `[ID=]NAME[@SYMBOL,...]`, or several.
        data: One file of bars or dataset of a store, or several.
        params: `key=value`, or `ID.key=value` for one of several strategies.
        bars: What is said about files.
        start_ns: The first moment that counts.
        end_ns: The end of what counts.
        qty: A fixed quantity of every entry, in base.
        synthetic: The market was generated.
    """

    strategy: str | tuple[str, ...]
    data: Path | tuple[Path, ...]
    params: tuple[str, ...] = ()
    bars: BarOptions = BarOptions()
    start_ns: int | None = None
    end_ns: int | None = None
    qty: Decimal | None = None
    synthetic: bool = False

    @property
    def strategies(self) -> tuple[str, ...]:
        """All strategies."""
        return (self.strategy,) if isinstance(self.strategy, str) else self.strategy

    @property
    def paths(self) -> tuple[Path, ...]:
        """All data."""
        return (self.data,) if isinstance(self.data, Path) else self.data


class PreparedStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy of a run.

    Attributes:
        strategy_id: Its name in the run.
        reference: What the user named it by.
        loaded: Its class and where that came from.
        params: Typed.
        instruments: What it trades, by index, in order.
    """

    strategy_id: str
    reference: str
    loaded: LoadedStrategy
    params: StrategyParams
    instruments: tuple[int, ...]


class Typed(msgspec.Struct, frozen=True):
    """A strategy as it was typed, loaded; `symbols` are those that it asks for, None = all."""

    strategy_id: str
    reference: str
    loaded: LoadedStrategy
    symbols: tuple[str, ...] | None


def load_strategies(typed: Sequence[str]) -> list[Typed]:
    """Load what `[ID=]NAME[@SYMBOL,...]` texts name.

    Raises:
        UserError: One is not of that form, does not load, or two have one id.
    """
    found: list[Typed] = []
    for text in typed:
        strategy = _load(text)
        if strategy.strategy_id in [other.strategy_id for other in found]:
            name = strategy.strategy_id
            raise StrategyError(
                f"two strategies are called {name!r}",
                f"give one an id of its own: {name}_2={strategy.reference}",
            )
        found.append(strategy)
    return found


def prepare_strategies(
    found: Sequence[Typed], params: Sequence[str], instruments: Sequence[Instrument]
) -> tuple[PreparedStrategy, ...]:
    """Give loaded strategies their parameters and instruments.

    Raises:
        UserError: A parameter or a symbol is unknown, or no object can be made of a class.
    """
    given = _params_of(found, params)
    prepared = tuple(
        PreparedStrategy(
            strategy_id=strategy.strategy_id,
            reference=strategy.reference,
            loaded=strategy.loaded,
            params=parse_params(
                strategy.loaded.name, strategy.loaded.cls.Params, given[strategy.strategy_id]
            ),
            instruments=_indices(strategy, instruments),
        )
        for strategy in found
    )
    for strategy in prepared:
        _try(strategy)
    return prepared


# A path may hold any of the signs: what exists as a file, or begins like a path, is taken as it is.
def _load(text: str) -> Typed:
    match = _TYPED.fullmatch(text)
    if match is None or Path(text).is_file():
        loaded = load_strategy(text)
        return Typed(loaded.name, text, loaded, None)
    symbols = match["symbols"]
    if symbols is not None and not all(symbols.split(",")):
        raise ConfigError(f"{text!r} names no symbol after @", "for example sma_cross@BTC/USDT,ETH/USDT")
    loaded = load_strategy(match["name"])
    name = match["id"] or loaded.name
    if name == VENUE:
        raise ConfigError(f"{name!r} is no strategy's id", "choose another id")
    chosen = None if symbols is None else tuple(dict.fromkeys(symbols.split(",")))
    return Typed(name, match["name"], loaded, chosen)


def check_callbacks(strategies: Sequence[PreparedStrategy], market: Market) -> None:
    """Refuse a strategy that would never be called, because it listens to what an instrument does not have.

    Raises:
        ConfigError: It decides on bars and is given ticks, or the other way round.
    """
    for strategy in strategies:
        on_bars = strategy.loaded.cls.on_bar is not Strategy.on_bar
        on_ticks = any(
            getattr(strategy.loaded.cls, name) is not getattr(Strategy, name) for name in _ON_TICKS
        )
        on_book = strategy.loaded.cls.on_book is not Strategy.on_book
        for index in strategy.instruments:
            symbol, name = market.instruments[index].symbol, strategy.strategy_id
            if market.has_ticks(index) and on_bars and not on_ticks:
                raise ConfigError(
                    f"strategy {name} decides on bars, {symbol} is given as trades",
                    "make bars of them with: njord data resample",
                )
            if market.has_ticks(index) and on_book and not _has_book(market, index):
                raise ConfigError(
                    f"strategy {name} decides on books, {symbol} is given as trades alone",
                    f"add --data with the book of {symbol}",
                )
            if not market.has_ticks(index) and on_ticks and not on_bars:
                raise ConfigError(
                    f"strategy {name} decides on trades and books, {symbol} is given as bars",
                    f"give --data with trades of {symbol}{' and its book' if on_book else ''}",
                )


def _has_book(market: Market, instrument: int) -> bool:
    return any(source.instrument == instrument and source.kind == "book" for source in market.sources)


# What fails here fails before anything is written, and there is no run yet that could suspend it.
def _try(strategy: PreparedStrategy) -> None:
    try:
        strategy.loaded.cls(strategy.params).warm_up()
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise StrategyError(
            f"strategy {strategy.strategy_id} can not be made: {place.filename.rpartition('/')[2]}:{place.lineno}: "
            f"{type(error).__name__}: {error}",
            "correct the file, or --param",
        ) from None


def _indices(strategy: Typed, instruments: Sequence[Instrument]) -> tuple[int, ...]:
    if strategy.symbols is None:
        return tuple(range(len(instruments)))
    known = [instrument.symbol for instrument in instruments]
    for symbol in strategy.symbols:
        if symbol not in known:
            raise ConfigError(
                f"strategy {strategy.strategy_id} asks for {symbol}, which --data does not have",
                nearest(symbol, known),
            )
    return tuple(sorted(known.index(symbol) for symbol in strategy.symbols))


# `ID.key=value` is for one strategy; `key=value` for every strategy that has such a parameter.
def _params_of(found: Sequence[Typed], params: Sequence[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {strategy.strategy_id: [] for strategy in found}
    for text in params:
        key = text.partition("=")[0].strip()
        owner, dot, _ = key.partition(".")
        if dot:
            if owner not in given:
                raise ConfigError(
                    f"--param {text} is for {owner!r}, which is no strategy here", nearest(owner, given)
                )
            given[owner].append(text.partition(".")[2])
            continue
        takers = [each for each in found if key in each.loaded.cls.Params.__struct_fields__]
        for strategy in takers or found[:1]:  # The first one says what is wrong with it.
            given[strategy.strategy_id].append(text)
    return given
