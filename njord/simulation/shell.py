"""The simulated twin of the live adapter's shell: carries a broker core's requests and its user stream over a link.

It signs as the venue wants it signed and decides nothing. Whatever touches the core ends in `pump`: what the core asks
is sent, the stream that it wishes for is opened, what it says goes to the host, and it is woken when it wants to be.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from njord.core.contracts import (
    BalanceSnapshot,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReply,
)
from njord.core.errors import VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.units import FOREVER_NS, NS_PER_MS
from njord.exchange.calls import ORDER_MOVES
from njord.exchange.wire import Request
from njord.simulation.link import ExchangeLink
from njord.simulation.virtual_time import VirtualTime
from njord.venues.binance_core import BinanceBrokerCore
from njord.venues.binance_options import StreamKind, StreamWish
from njord.venues.broker_wire import Answer, Ask, NoAnswer, Word

API: Final = "/api/v3/"
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


class SentOrder(msgspec.Struct, frozen=True):
    """An order that left this host: when, and under which id."""

    ts_ns: int
    client_order_id: str
    method: str


class SimulatedShell:
    """Drives one broker core; also the gateway's `IBroker`.

    Args:
        time: The clock.
        link: The way to the exchange.
        key: Of the account.
        secret: Of the account.
        instruments: All instruments of the run.
        hear: Takes the core's words.

    Attributes:
        core: What decides; it is there from the start on.
        sent: Every order and cancel that left, in order.
    """

    core: BinanceBrokerCore

    def __init__(
        self,
        time: VirtualTime,
        link: ExchangeLink,
        key: str,
        secret: str,
        instruments: Sequence[Instrument],
        hear: Callable[[Sequence[Word]], None],
    ) -> None:
        self._time = time
        self._link = link
        self._key = key
        self._secret = secret.encode()
        self._instruments = instruments
        self._hear = hear
        self._wish = StreamWish()
        self._stream: _UserStream | None = None
        self._wake_ns = FOREVER_NS
        self._is_pumping = False
        self._is_stopped = False
        self.sent: list[SentOrder] = []

    def start(self, core: BinanceBrokerCore) -> None:
        """Let a core begin."""
        self.core = core
        self.core.start(self._time.now_ns())
        self.pump()

    def stop(self) -> None:
        """Leave everything as it is: as if the process had been killed."""
        self._is_stopped = True
        if self._stream is not None:
            self._stream.leave()

    # --- the gateway's side ---

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Hand the core an order."""
        reply = self.core.place(req, self._time.now_ns())
        self._pump_soon()
        return reply

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        """Hand the core a cancel."""
        reply = self.core.cancel(req, self._time.now_ns())
        self._pump_soon()
        return reply

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        """Hand the core an amendment."""
        reply = self.core.amend(req, self._time.now_ns())
        self._pump_soon()
        return reply

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Refuse: nobody waits on a virtual clock."""
        raise VenueUnavailable(_NO_WAIT)

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        """Refuse: nobody waits on a virtual clock."""
        raise VenueUnavailable(_NO_WAIT)

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        """Refuse: nobody waits on a virtual clock."""
        raise VenueUnavailable(_NO_WAIT)

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Refuse: nobody waits on a virtual clock."""
        raise VenueUnavailable(_NO_WAIT)

    def server_time(self) -> int:
        """Return the venue's time as the core estimates it."""
        return self._time.now_ns() + self.core.clock_offset_ns

    def exchange_rules(self) -> Sequence[Instrument]:
        """Return the instruments of the run."""
        return self._instruments

    # The gateway is in the middle of a step: what comes of its call is looked at right after.
    def _pump_soon(self) -> None:
        self._time.at(self._time.now_ns(), self.pump)

    # --- the core's side ---

    def pump(self) -> None:
        """Do what the core wants done."""
        if self._is_stopped or self._is_pumping:
            return
        core = self.core
        self._is_pumping = True
        try:
            while True:
                asks, words = core.take_asks(), core.take_words()
                for ask in asks:
                    self._send(ask)
                if words:
                    self._hear(words)
                if not asks and not words:
                    break
        finally:
            self._is_pumping = False
        if core.wants_stream != self._wish:
            self._reopen(core.wants_stream)
        if core.next_wake_ns < self._wake_ns:
            self._wake_ns = core.next_wake_ns
            self._time.at(self._wake_ns, self._wake)

    def _wake(self) -> None:
        if self._is_stopped:
            return
        self._wake_ns = FOREVER_NS
        self.core.wake(self._time.now_ns())
        self.pump()

    def _send(self, ask: Ask) -> None:
        params = list(ask.params)
        if ask.is_signed:
            params += [("timestamp", str(ask.ts_ms)), ("recvWindow", str(ask.recv_window_ms))]
            params.append(("signature", self._signature(urlencode(params))))
        text = urlencode(params)
        is_form = ask.method in ("POST", "PUT")
        headers = {"x-mbx-apikey": self._key, **(_FORM if is_form else {})}
        request = Request(
            method=ask.method,
            path=f"{API}{ask.path}",
            query="" if is_form else text,
            body=text if is_form else "",
            headers=headers,
        )
        if (ask.method, request.path) in ORDER_MOVES:
            named = dict(ask.params)
            client_order_id = named.get(
                "newClientOrderId" if ask.method == "POST" else "origClientOrderId", ""
            )
            self.sent.append(SentOrder(self._time.now_ns(), client_order_id, ask.method))

        def answered(answer: Answer | NoAnswer) -> None:
            if not self._is_stopped:
                self.core.answered(ask.request_id, answer, self._time.now_ns())
                self.pump()

        self._link.send(request, ask.deadline_ns, answered)

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    # --- the user stream ---

    def _reopen(self, wish: StreamWish) -> None:
        self._wish = wish
        if self._stream is not None:
            self._stream.leave()
        self._stream = None
        if wish.kind is not StreamKind.NONE:
            self._stream = _UserStream(self, wish)

    def connect(self, stream: "_UserStream", wish: StreamWish) -> int:
        """Open the connection that carries a user stream."""
        path = "/ws-api/v3" if wish.kind is StreamKind.SIGNATURE else f"/ws/{wish.listen_key}"
        return self._link.connect(path, "", stream)

    def leave(self, number: int) -> None:
        """Close a connection."""
        self._link.leave(number)

    def subscribe(self, number: int) -> None:
        """Ask for the account's events on a connection of the WebSocket API."""
        ts_ms = (self._time.now_ns() + self.core.clock_offset_ns) // NS_PER_MS
        params = {"apiKey": self._key, "timestamp": ts_ms}
        signature = self._signature(urlencode(sorted(params.items())))
        call = {
            "id": "subscribe",
            "method": "userDataStream.subscribe.signature",
            "params": {**params, "signature": signature},
        }
        self._link.say(number, msgspec.json.encode(call).decode())

    def stream_opened(self) -> None:
        """Tell the core that its stream is open."""
        self.core.stream_opened(self._time.now_ns())
        self.pump()

    def stream_said(self, event: bytes) -> None:
        """Tell the core what the stream said."""
        self.core.stream_said(event, self._time.now_ns())
        self.pump()

    def stream_closed(self, detail: str) -> None:
        """Tell the core that its stream is gone."""
        self._stream = None
        self.core.stream_closed(detail, self._time.now_ns())
        self.pump()


class _Said(msgspec.Struct):
    """A frame of the WebSocket API: an answer, or an event."""

    id: str | int | None = None
    status: int = 0
    event: msgspec.Raw = msgspec.Raw()


class _UserStream:
    """One user stream, by either door."""

    def __init__(self, shell: SimulatedShell, wish: StreamWish) -> None:
        self._shell = shell
        self._is_signed = wish.kind is StreamKind.SIGNATURE
        self._number = shell.connect(self, wish)

    def leave(self) -> None:
        """Close it."""
        self._shell.leave(self._number)

    def opened(self) -> None:
        """Subscribe, where that is needed."""
        if self._is_signed:
            self._shell.subscribe(self._number)
        else:
            self._shell.stream_opened()

    def heard(self, text: str) -> None:
        """Pass on an event, or note that the subscription stands."""
        if not self._is_signed:
            self._shell.stream_said(text.encode())
            return
        said = msgspec.json.decode(text, type=_Said)
        if bytes(said.event):
            self._shell.stream_said(bytes(said.event))
        elif said.status == 200:
            self._shell.stream_opened()
        else:
            self.leave()
            self._shell.stream_closed(f"the subscription was refused: {text[:200]}")

    def closed(self, detail: str) -> None:
        """Tell that it has ended."""
        self._shell.stream_closed(detail)


_NO_WAIT: Final = "on a virtual clock nothing is waited for: the broker's words come by themselves"
