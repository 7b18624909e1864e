"""What a simulated host hears of the market: public streams in, trades and bars out, each trade once, holes mended.

The same steps as the real feed: rows that can not be trades are refused, duplicates dropped, what is missing is asked of
REST (`venues/feed_stream.py`), bars are built from trades (`data/bars.py`). A stream whose content is too old is left
and opened anew.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from njord.core.contracts import Bar, Message, TimerFired, TimerSet, TradeEvent
from njord.core.instrument import Instrument
from njord.core.types import BUY, SELL
from njord.core.units import NS_PER_S
from njord.data.bars import BarBuilder
from njord.exchange.wire import Request
from njord.simulation.link import ExchangeLink
from njord.simulation.virtual_time import VirtualTime
from njord.venues.binance_rows import AggTrade, trade_page
from njord.venues.broker_wire import Answer, NoAnswer
from njord.venues.feed_rows import FeedTrade, page_trades, pushed_trade
from njord.venues.feed_stream import Missing, TradeStream

STALE_NS: Final = 10 * NS_PER_S
_PULSE_NS: Final = NS_PER_S
_TIMEOUT_NS: Final = 5 * NS_PER_S
TRADES: Final = ("aggTrade",)
ALL: Final = (*TRADES, "depth@100ms", "bookTicker", "kline_1m")


class MarketEar:
    """The feed of one instrument.

    Args:
        time: The clock.
        link: The way to the exchange.
        index: The instrument's in the run.
        instrument: Whose market it hears.
        bar_ns: Length of a bar.
        streams: What it listens to; of all but trades it only notes that they come.
        tell: Takes the market's messages, in order.

    Attributes:
        stream: What has been told of the trades; None before the first.
        n_frames: Heard so far.
        n_opened: Connections so far.
    """

    def __init__(
        self,
        time: VirtualTime,
        link: ExchangeLink,
        index: int,
        instrument: Instrument,
        bar_ns: int,
        streams: Sequence[str],
        tell: Callable[[Message], None],
    ) -> None:
        self._time = time
        self._link = link
        self._index = index
        self._instrument = instrument
        self._symbol = instrument.base + instrument.quote
        self._streams = streams
        self._tell = tell
        self._bars = BarBuilder(index + 1, bar_ns)
        handlers = self._bars.handlers()
        self._on_trade, self._on_timer = handlers[TradeEvent], handlers[TimerFired]
        self.stream: TradeStream | None = None
        self._asked: tuple[int, int] | None = None
        self._connection = 0
        self._told_ns = 0  # When there was new content.
        self._is_stopped = False
        self.n_frames = 0
        self.n_opened = 0

    def start(self) -> None:
        """Connect, and look after the connection from now on."""
        self._connect()
        self._time.at(self._time.now_ns() + _PULSE_NS, self._pulse)

    def stop(self) -> None:
        """Say nothing more."""
        self._is_stopped = True
        self._link.leave(self._connection)

    def _connect(self) -> None:
        self.n_opened += 1
        self._told_ns = self._time.now_ns()
        streams = "/".join(f"{self._symbol.lower()}@{stream}" for stream in self._streams)
        self._connection = self._link.connect("/stream", f"streams={streams}", self)

    def _reconnect(self) -> None:
        self._link.leave(self._connection)
        if self.stream is not None:
            self.stream.interrupted()
        self._connect()

    # Once a second: is what is heard still new, and is anything missing?
    def _pulse(self) -> None:
        if self._is_stopped:
            return
        now_ns = self._time.now_ns()
        if now_ns - self._told_ns > STALE_NS:
            self._reconnect()
        self._ask()
        self._time.at(now_ns + _PULSE_NS, self._pulse)

    # --- one connection ---

    def opened(self) -> None:
        """Ask REST what came before, where anything did."""
        self._ask()

    def closed(self, detail: str) -> None:
        """Open another one; the pulse looks after attempts that fail."""
        if self.stream is not None:
            self.stream.interrupted()
        self._told_ns = min(self._told_ns, self._time.now_ns() - STALE_NS)

    def heard(self, text: str) -> None:
        """Take a frame."""
        self.n_frames += 1
        if '"aggTrade"' not in text or self._is_stopped:
            return
        trade = pushed_trade(msgspec.json.decode(text).get("data"), self._instrument)
        if trade is None:
            if self.stream is not None:
                self.stream.refused()
            return
        if self.stream is None:
            self.stream = TradeStream(trade.trade_id)
        self._take(self.stream.received((trade,), self._time.now_ns()))

    # --- what REST has ---

    def _ask(self) -> None:
        if self.stream is None or self._asked is not None:
            return
        self._asked = wanted = self.stream.wanted(self._time.now_ns())
        if wanted is None:
            return
        query = f"symbol={self._symbol}&fromId={wanted[0]}&limit={min(1000, wanted[1] - wanted[0])}"
        request = Request(method="GET", path="/api/v3/aggTrades", query=query)
        self._link.send(request, self._time.now_ns() + _TIMEOUT_NS, self._answered)

    def _answered(self, answer: Answer | NoAnswer) -> None:
        asked, self._asked = self._asked, None
        if asked is None or self.stream is None or self._is_stopped:
            return
        now_ns = self._time.now_ns()
        trades = _trades(answer, self._instrument)
        if trades is None:
            self.stream.asked_in_vain(now_ns)
        else:
            self._take(self.stream.answered(asked, trades, now_ns))

    # --- what is told ---

    def _take(self, told: list[FeedTrade | Missing]) -> None:
        for each in told:
            if isinstance(each, Missing):
                continue
            now_ns = self._told_ns = self._time.now_ns()
            trade = TradeEvent(
                ts_ns=now_ns,
                instrument=self._index,
                price_ticks=each.price_ticks,
                qty_lots=each.qty_lots,
                side=BUY if each.sign > 0 else SELL,
                trade_id=each.trade_id,
                ts_venue_ns=each.ts_venue_ns,
            )
            self._tell(trade)
            self._follow(self._on_trade(trade))

    def _follow(self, made: object) -> None:
        assert isinstance(made, list)
        for message in made:
            if isinstance(message, Bar):
                self._tell(message)
            elif isinstance(message, TimerSet):
                self._time.at(message.due_ns, partial(self._fire, message))

    def _fire(self, timer: TimerSet) -> None:
        if self._is_stopped:
            return
        fired = TimerFired(
            ts_ns=self._time.now_ns(),
            strategy_id="",
            instrument=timer.instrument,
            key=timer.key,
            due_ns=timer.due_ns,
        )
        self._follow(self._on_timer(fired))


def _trades(answer: Answer | NoAnswer, instrument: Instrument) -> list[FeedTrade] | None:
    if isinstance(answer, NoAnswer) or answer.status != 200:
        return None
    try:
        page = trade_page(msgspec.json.decode(answer.body, type=list[AggTrade]), instrument)
    except ValueError:  # msgspec's refusals are of this kind too.
        return None
    return list(page_trades(page))
