"""How does a paper session follow an exchange? Its public feed in; a prepared run, and the blocks that a node is fed, out.

No keys: rules, bars and trades are public. What comes is written to the session's feed file before anybody acts on it,
so that a session which was killed is run again from there; then the feed goes on with what is fresh: bars that were
missed are fetched, and trades that were not told are reported as a gap.
"""

import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import ExitStack
from random import Random
from typing import Self

import msgspec

from njord.adapters.clock import Stopwatch, WallClock
from njord.apps.download_venue import VENUES
from njord.apps.feed_file import FeedFile
from njord.apps.paced_feed import behind
from njord.apps.session import OpenSession
from njord.backtest.market import Market, MarketBlock
from njord.backtest.market_feed import FeedMarket
from njord.backtest.request import BacktestRequest, PreparedStrategy, load_strategies
from njord.backtest.session import prepare_on
from njord.backtest.simulation import Prepared
from njord.core.clock import Clock
from njord.core.config import Config
from njord.core.contracts import Alert, Bar, BookEvent, DataGap, Message, TickerEvent, TradeEvent
from njord.core.errors import ConfigError, VenueUnavailable
from njord.core.types import Severity
from njord.core.units import NS_PER_S
from njord.risk.profile import build_rules
from njord.storage.bars_options import BarOptions
from njord.storage.bars_text import one_line, show_interval
from njord.strategies.base import Strategy
from njord.venues.ccxt_feed import CcxtStreams
from njord.venues.ccxt_rest import parse_endpoint
from njord.venues.feed_source import Begin, FeedOptions, LiveSource
from njord.venues.rest import Patience

BLOCK_ROWS = 1000
_PATIENCE = Patience(n_attempts=4)  # What is missing is asked for again anyway.
Row = Bar | TradeEvent | BookEvent | TickerEvent


class LiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which feed is followed.

    Attributes:
        venue: Its name.
        symbols: CCXT unified.
        interval_ns: Length of the bars that the trades are made into.
        endpoint: Another address that speaks the venue's dialect; None = the venue itself.
    """

    venue: str
    symbols: tuple[str, ...]
    interval_ns: int
    endpoint: str | None = None


class LiveVenue:
    """A venue's public feed, open; a context manager. Importing CCXT takes about two seconds.

    Args:
        request: What is followed.
        notice: Told in one line each of trouble with the feed, and of its end.
        options: How patient the feed is.
        clock: Stamps what comes in.

    Raises:
        ConfigError: The venue, a symbol or the endpoint is not known.
        VenueError: The venue refuses, or can not be reached.
    """

    def __init__(
        self,
        request: LiveRequest,
        notice: Callable[[str], None],
        options: FeedOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        if request.venue not in VENUES:
            raise ConfigError(
                f"there is no live feed of {one_line(request.venue)!r}",
                f"known venues: {', '.join(sorted(VENUES))}",
            )
        if request.endpoint is not None:
            parse_endpoint(request.endpoint)  # Before CCXT is loaded, which takes seconds.
        _check(request)
        self.request = request
        self._notice = notice
        self._options = options
        self._clock = clock or WallClock()
        self._closing = threading.Event()
        # Only the spread of repeated requests hangs on chance, never a message.
        self._chance = Random(self._clock.now_ns())
        self._open = ExitStack()
        self._venue = self._open.enter_context(
            VENUES[request.venue](
                self._clock, self._wait, self._chance, endpoint=request.endpoint, patience=_PATIENCE
            )
        )
        try:
            self.instruments = tuple(self._venue.instrument(symbol) for symbol in request.symbols)
        except BaseException:
            self.close()
            raise

    def prepare(self, request: BacktestRequest, config: Config) -> Prepared:
        """Check everything that can be checked before running; see `njord.backtest.session.prepare`.

        Args:
            request: Its data are left out, what it says of files is said of the feed.
            config: Shaped for paper.

        Raises:
            UserError: Strategies, parameters or configuration are not fit; one line says which and why.
        """
        timeframe = show_interval(self.request.interval_ns)
        request = msgspec.structs.replace(
            request, data=(), bars=BarOptions(venue=self.request.venue, timeframe=timeframe)
        )
        found = load_strategies(request.strategies)
        build_rules(config.backtest.risk_profile, config.risk.profiles[config.backtest.risk_profile].rules)
        market = FeedMarket(
            self.instruments, self.request.interval_ns, self._clock.now_ns(), lambda: iter(())
        )
        return prepare_on(request, config, found, market, _check_callbacks)

    def feed(self, session: OpenSession) -> "LiveBlockFeed":
        """Return the feed of an open session that was prepared here, with `is_live`."""
        warm_up = max(each.loaded.cls(each.params).warm_up() for each in session.prepared.strategies)
        return LiveBlockFeed(session, self._source(), len(self.instruments), max(1, warm_up))

    def close(self) -> None:
        """Let go of the connections."""
        self._closing.set()
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _source(self) -> LiveSource:
        try:
            self._venue.check_interval(self.request.interval_ns)
            has_bars = True
        except ConfigError:
            has_bars = False
        return LiveSource(
            self._venue,
            CcxtStreams(self.request.venue, self.instruments, endpoint=self.request.endpoint),
            self.instruments,
            self.request.interval_ns,
            has_bars,
            self._clock,
            self._chance,
            self._notice,
            self._options,
        )

    # Between two requests of the thread that asks; the end of the session does not wait for it.
    def _wait(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise VenueUnavailable("the feed was closed")


class LiveBlockFeed:
    """The blocks of a live session: those of its feed file that the session has not seen, then what comes.

    Args:
        session: Open, with a feed file.
        source: Where messages come from.
        n_instruments: How many markets there are.
        warm_up: Finished bars of each that a new session begins with.
    """

    def __init__(self, session: OpenSession, source: LiveSource, n_instruments: int, warm_up: int) -> None:
        if session.feed_file is None:
            raise ValueError(f"the session {session.name} was opened without is_live")
        self._session = session
        self._file: FeedFile = session.feed_file
        self._source = source
        self._n_instruments = n_instruments
        self._warm_up = warm_up
        self._since_heard: Stopwatch | None = None

    @property
    def age_s(self) -> float | None:
        """How long ago the last trade or bar came; None before the first."""
        return None if self._since_heard is None else self._since_heard.elapsed_s()

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield what follows the first `skip_rows` messages, when it comes; without end."""
        for block in behind(self._file.blocks(), skip_rows):
            yield block
        begins, told_until_ns = _begins(self._file.blocks(), self._n_instruments, self._warm_up)
        try:
            messages = await self._source.start(begins, told_until_ns)
            while True:
                for block in self._recorded(messages):
                    yield block
                messages = await self._source.next()
        finally:
            await self._source.close()

    def _recorded(self, messages: Sequence[Message]) -> Iterator[MarketBlock]:
        for gap in messages:
            if isinstance(gap, DataGap):
                self._session.door.tell(self._alert(gap))
        rows = [each for each in messages if isinstance(each, Row)]
        for first in range(0, len(rows), BLOCK_ROWS):
            self._since_heard = Stopwatch()
            yield self._file.append(rows[first : first + BLOCK_ROWS])

    # A DataGap is a finding of the engine's; what an edge has to say is an Alert.
    def _alert(self, gap: DataGap) -> Alert:
        symbol = self._session.prepared.spec.instruments[gap.instrument].symbol
        return Alert(
            ts_ns=self._session.door.now_ns,
            severity=Severity.WARNING,
            category="system",
            source="feed",
            title="trades are missing",
            message=f"{gap.n_missing} trades of {symbol} were not told: {gap.detail}",
            labels=(
                ("symbol", symbol),
                ("check", gap.check),
                ("n_missing", f"{gap.n_missing}"),
                ("from_ns", f"{gap.from_ns}"),
                ("to_ns", f"{gap.to_ns}"),
            ),
        )


def _begins(blocks: Iterator[MarketBlock], n_instruments: int, warm_up: int) -> tuple[list[Begin], int]:
    bars: dict[int, Bar] = {}
    ids: dict[int, int] = {}
    told_until_ns = 0
    for block in blocks:
        for message in block.messages:
            told_until_ns = message.ts_ns
            if isinstance(message, Bar):
                bars[message.instrument] = message
            elif isinstance(message, TradeEvent):
                ids[message.instrument] = message.trade_id
    begins = [
        Begin(n_bars=warm_up, last_bar=bars.get(index), last_id=ids.get(index, -1))
        for index in range(n_instruments)
    ]
    return begins, told_until_ns


def _check(request: LiveRequest) -> None:
    if not request.symbols:
        raise ConfigError("a live feed needs a symbol", "for example --symbol BTC/USDT")
    if len(set(request.symbols)) < len(request.symbols):
        raise ConfigError("a symbol is given twice", "name each --symbol once")
    quotes = sorted({symbol.partition("/")[2] for symbol in request.symbols})
    if len(quotes) > 1:
        raise ConfigError(
            f"the symbols are quoted in {' and '.join(quotes)}, an account has one quote asset",
            "run the symbols of each quote asset apart",
        )
    if request.interval_ns < NS_PER_S:
        raise ConfigError("--timeframe of a live feed must be 1s or longer", "for example --timeframe 1m")


def _check_callbacks(strategies: Sequence[PreparedStrategy], market: Market) -> None:
    for strategy in strategies:
        cls, name = strategy.loaded.cls, strategy.strategy_id
        if cls.on_bar is Strategy.on_bar and cls.on_trade is Strategy.on_trade:
            raise ConfigError(
                f"strategy {name} decides on neither bars nor trades, a live feed has no books",
                "give it on_bar or on_trade, or replay a recording of the book: --data",
            )
        if cls.precompute is not Strategy.precompute:
            raise ConfigError(
                f"strategy {name} computes features of all bars beforehand, a live feed does not know them",
                "compute them in on_bar",
            )
