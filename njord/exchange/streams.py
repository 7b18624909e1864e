"""What do the venue's market streams say? Connections, their subscriptions and the time in; frames out.

Events are told as they happen; bars, tickers, partial books and slow depth at the ticks of the exchange's clock. A path
`/ws/...` or `/stream/ws/...` gets events as they are, `/stream?streams=...` gets them wrapped with the stream's name. Sources:
the venue's public document of WebSocket streams, and CCXT as the reader.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from njord.core.units import FOREVER_NS, NS_PER_S
from njord.exchange import stream_events
from njord.exchange.market import AggTradePrint, BestQuote, BookDiff, PublicEvent, PublicMarket, TradePrint
from njord.exchange.market_text import Texts
from njord.exchange.stream_names import AT_ONCE, DIFF, Wish, wish_of
from njord.exchange.stream_timed import Payload, Timed, timed_stream
from njord.exchange.wire import Frame

MAX_MESSAGES_PER_S = 5
MAX_STREAMS = 1024
TOO_MUCH = 1008
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class _Connection(msgspec.Struct):
    """One listener; `names` in the order of its subscriptions."""

    is_combined: bool
    names: dict[str, None] = {}
    heard_ns: deque[int] = msgspec.field(default_factory=deque)


class _Refused(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class _Call(msgspec.Struct, frozen=True):
    """A message of a client."""

    method: str
    params: list[Any] = []
    id: int | str | None = None


class Ears(Protocol):
    """Who tells an account's events; a listen key is subscribed to as a stream is."""

    def is_key(self, name: str) -> bool:
        """Say whether a name is a listen key in force."""
        ...

    def hear(self, connection: int, key: str, is_combined: bool) -> None:
        """Let a connection hear the account of a listen key."""

    def forget(self, connection: int, name: str) -> None:
        """Let a connection hear nothing more by a listen key."""


class MarketStreams:
    """All market streams of a market.

    Args:
        market: Is advanced by `advance`, and its events are taken; nobody else may take them.
        ears: Of accounts, if there are any.
    """

    def __init__(self, market: PublicMarket, ears: Ears | None = None) -> None:
        self._market = market
        self._ears = ears
        self._texts = [Texts(instrument) for instrument in market.instruments]
        self._index = {texts.symbol: index for index, texts in enumerate(self._texts)}
        self._names = [texts.symbol.lower() for texts in self._texts]
        self._connections: dict[int, _Connection] = {}
        self._listeners: dict[str, dict[int, None]] = {}
        self._timed: dict[str, tuple[Wish, Timed]] = {}
        self._now_ns = market.now_ns
        self._frames: list[Frame] = []

    # --- time ---

    @property
    def next_ns(self) -> int:
        """When the market moves, or a stream speaks, next."""
        return min(self._market.next_ns, self._next_tick_ns())

    def advance(self, now_ns: int) -> None:
        """Bring the market to a time, and tell what happens until then."""
        while (tick_ns := self._next_tick_ns()) <= now_ns:
            # What a bar that ends now has is all before now.
            self._market.advance(tick_ns - 1)
            self._tell_events()
            self._tick(tick_ns)
        self._market.advance(now_ns)
        self._tell_events()
        self._now_ns = max(self._now_ns, now_ns)

    def take_frames(self) -> list[Frame]:
        """Return what is to be sent since the last call, in order."""
        frames, self._frames = self._frames, []
        return frames

    def _next_tick_ns(self) -> int:
        steps = (wish.every_ns for wish, _ in self._timed.values())
        return min(((self._now_ns // step + 1) * step for step in steps), default=FOREVER_NS)

    def _tick(self, tick_ns: int) -> None:
        self._now_ns = tick_ns
        for name, (wish, stream) in self._timed.items():
            if tick_ns % wish.every_ns == 0:
                for payload in stream.tick(tick_ns):
                    self._send(name, payload)

    # --- connections ---

    def opened(self, connection: int, path: str, query: str, now_ns: int) -> bool:
        """Take a connection with the streams of its path; False if the path is none of market streams."""
        is_combined = path in ("/stream", "/stream/")
        parts = path.strip("/").split("/")
        if not is_combined and parts[0] != "ws" and parts[:2] != ["stream", "ws"]:
            return False
        if is_combined:
            names = dict(parse_qsl(query)).get("streams", "").split("/")
        else:
            names = parts[1 if parts[0] == "ws" else 2 :]
        listener = self._connections[connection] = _Connection(is_combined)
        # A path may carry what is no stream, as CCXT's number of the connection: that says nothing.
        self._subscribe(connection, listener, [name for name in names if wish_of(name)][:MAX_STREAMS])
        return True

    def closed(self, connection: int) -> None:
        """Forget a connection."""
        listener = self._connections.pop(connection, None)
        if listener is not None:
            self._unsubscribe(connection, listener, list(listener.names))

    def said(self, connection: int, text: str, now_ns: int) -> None:
        """Take a message of a connection and answer it; who talks too much is shown out."""
        listener = self._connections.get(connection)
        if listener is None:
            return
        heard = listener.heard_ns
        while heard and heard[0] <= now_ns - NS_PER_S:
            heard.popleft()
        heard.append(now_ns)
        if len(heard) > MAX_MESSAGES_PER_S:
            self.closed(connection)
            self._frames.append(Frame(connection, None, TOO_MUCH))
            return
        answer = msgspec.json.encode(self._answer(connection, listener, text))
        self._frames.append(Frame(connection, answer.decode()))

    def _answer(self, connection: int, listener: _Connection, text: str) -> dict[str, Any]:
        call_id: int | str | None = None
        try:
            call = _call_of(text)
            call_id = call.id
            return {"result": self._do(connection, listener, call), "id": call_id}
        except _Refused as refused:
            return {"error": {"code": refused.code, "msg": refused.words}, "id": call_id}

    def _do(self, connection: int, listener: _Connection, call: _Call) -> Any:
        if call.method == "LIST_SUBSCRIPTIONS":
            return list(listener.names)
        if call.method in ("SET_PROPERTY", "GET_PROPERTY"):
            return _property(listener, call)
        names = [str(name) for name in call.params]
        if call.method == "UNSUBSCRIBE":
            self._unsubscribe(connection, listener, names)
            return None
        if len(listener.names.keys() | names) > MAX_STREAMS:
            raise _Refused(2, "Invalid request: too many parameters")
        others = [name for name in names if wish_of(name) is None]
        if others and (self._ears is None or not all(map(self._ears.is_key, others))):
            raise _Refused(2, "Invalid request: invalid stream")
        self._subscribe(connection, listener, names)
        return None

    # A symbol that is not listed may be subscribed to, as at the venue; nothing is ever said of it.
    def _subscribe(self, connection: int, listener: _Connection, names: Iterable[str]) -> None:
        for name in names:
            wish = wish_of(name)
            if name in listener.names:
                continue
            listener.names[name] = None
            if wish is None:
                self._hear(connection, name, listener.is_combined)
                continue
            self._listeners.setdefault(name, {})[connection] = None
            known = [self._index[wish.symbol]] if wish.symbol in self._index else []
            indices = known if wish.symbol else list(self._index.values())
            if wish.every_ns != AT_ONCE and indices and name not in self._timed:
                self._timed[name] = wish, timed_stream(wish, self._market, self._texts, indices)

    def _hear(self, connection: int, key: str, is_combined: bool) -> None:
        if self._ears is not None:
            self._ears.hear(connection, key, is_combined)

    def _unsubscribe(self, connection: int, listener: _Connection, names: Iterable[str]) -> None:
        for name in names:
            listener.names.pop(name, None)
            if self._ears is not None:
                self._ears.forget(connection, name)
            listeners = self._listeners.get(name, {})
            listeners.pop(connection, None)
            if not listeners:
                self._listeners.pop(name, None)
                self._timed.pop(name, None)

    # --- telling ---

    def _tell_events(self) -> None:
        events = self._market.take_events()
        if self._listeners:
            for event in events:
                self._tell(event)

    def _tell(self, event: PublicEvent) -> None:
        name, texts = self._names[event.instrument], self._texts[event.instrument]
        if isinstance(event, TradePrint):
            if (stream := f"{name}@trade") in self._listeners:
                self._send(stream, stream_events.trade(texts, event))
        elif isinstance(event, BookDiff):
            if (stream := f"{name}@depth@100ms") in self._listeners:
                self._send(stream, stream_events.diff(texts, event))
            for wish, timed in self._timed.values():
                if wish.kind == DIFF and wish.symbol == texts.symbol:
                    timed.take(event)
        elif isinstance(event, BestQuote):
            for stream in (f"{name}@bookTicker", "!bookTicker"):
                if stream in self._listeners:
                    self._send(stream, stream_events.best_quote(texts, event))
        elif (stream := f"{name}@aggTrade") in self._listeners:
            assert isinstance(event, AggTradePrint)
            self._send(stream, stream_events.agg_trade(texts, event))

    def _send(self, name: str, payload: Payload) -> None:
        text = msgspec.json.encode(payload).decode()
        for connection in self._listeners[name]:
            is_wrapped = self._connections[connection].is_combined
            self._frames.append(
                Frame(connection, f'{{"stream":"{name}","data":{text}}}' if is_wrapped else text)
            )


def _call_of(text: str) -> _Call:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    try:
        call = msgspec.convert(said, _Call)
    except msgspec.ValidationError as error:
        raise _Refused(2, f"Invalid request: {error}") from None
    if call.method not in _METHODS:
        known = ", ".join(f"`{method}`" for method in _METHODS)
        raise _Refused(2, f"Invalid request: unknown variant `{call.method}`, expected one of {known}")
    if call.method in _METHODS[:2] and not all(isinstance(name, str) for name in call.params):
        raise _Refused(2, "Invalid request: property name must be a string")
    return call


# The one property is whether events are wrapped.
def _property(listener: _Connection, call: _Call) -> bool | None:
    if call.params[:1] != ["combined"]:
        raise _Refused(0, "Unknown property")
    if call.method == "GET_PROPERTY":
        return listener.is_combined
    if len(call.params) != 2 or not isinstance(call.params[1], bool):
        raise _Refused(1, "Invalid value type: expected Boolean")
    listener.is_combined = call.params[1]
    return None
