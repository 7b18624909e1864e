"""A broker core at the local exchange, in one process on a virtual clock: for tests of what the core makes of trouble.

`CoreCase` is alice's core, her shell and a link of 10 ms each way. Words are kept as they are told; what a host would
have booked of them is there too. A session that goes on after a stop is another core, made of the first one's words.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from urllib.parse import parse_qs

from msgspec.structs import replace

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReply,
)
from njord.core.orders import TERMINAL, may_follow
from njord.core.types import BUY, LIMIT, OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import NS_PER_S
from njord.exchange.wire import UNTROUBLED, Fate, Frame, Request, Response, Served
from njord.simulation.link import ExchangeLink, LinkTerms
from njord.simulation.shell import SimulatedShell
from njord.simulation.virtual_time import VirtualTime
from njord.venues.binance_core import BinanceBrokerCore
from njord.venues.binance_options import CoreOptions
from njord.venues.broker_wire import (
    Amendment,
    ExternalFill,
    Health,
    KnownLeg,
    KnownOrder,
    Notice,
    Word,
)
from tests.property.strategies import START_NS
from tests.unit.exchange.exchange_case import BTC, KEY, SECRET, Case, Json, Row

SYMBOL = BTC.symbol
EVEN = LinkTerms(floor_ms=10.0, mean_ms=0.001, spike_share=0.0)


class Trouble:
    """An exchange of which a test decides what goes wrong.

    Attributes:
        on_fate: Says what the way does to a request; None = nothing.
        before: Answers instead of the exchange; None = it does not.
        after: Changes an answer.
        on_frames: Changes what the streams are to be sent.
        heard: Every request that arrived: method, path and parameters.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self.on_fate: Callable[[Request], Fate | None] = lambda request: None
        self.before: Callable[[Request], Response | None] = lambda request: None
        self.after: Callable[[Request, Response], Response] = lambda request, response: response
        self.on_frames: Callable[[list[Frame]], list[Frame]] = lambda frames: frames
        self.heard: list[tuple[str, str, dict[str, str]]] = []

    def advance(self, now_ns: int) -> None:
        """See `Served`, as for all below."""
        self._served.advance(now_ns)

    @property
    def next_ns(self) -> int:
        return self._served.next_ns

    def fate(self, request: Request, now_ns: int) -> Fate:
        return self.on_fate(request) or UNTROUBLED

    def request(self, request: Request, now_ns: int) -> Response:
        self.heard.append((request.method, request.path.removeprefix("/api/v3/"), params_of(request)))
        return self.before(request) or self.after(request, self._served.request(request, now_ns))

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        return self._served.opened(connection, path, query, address, now_ns)

    def said(self, connection: int, text: str, now_ns: int) -> None:
        self._served.said(connection, text, now_ns)

    def closed(self, connection: int, now_ns: int) -> None:
        self._served.closed(connection, now_ns)

    def frames(self) -> list[Frame]:
        return self.on_frames(self._served.frames())


def params_of(request: Request) -> dict[str, str]:
    """Return a request's parameters."""
    return {name: values[0] for name, values in parse_qs(request.query or request.body).items()}


class CoreCase:
    """Alice's broker core.

    Args:
        rows: What the market does, see `Case`.
        options: Of CoreOptions.
        exchange: Of ExchangeOptions.
    """

    def __init__(
        self, *rows: list[Row], options: CoreOptions | None = None, case: Case | None = None, **exchange: Any
    ) -> None:
        self.case = case or Case(*rows, **exchange)
        self.options = options or CoreOptions()
        self.time = VirtualTime(START_NS)
        self.trouble = Trouble(self.case.exchange)
        self.link = ExchangeLink(self.time, self.trouble, Random(1), EVEN)
        self.words: list[Word] = []
        self.reqs: dict[str, BrokerOrderReq] = {}
        self.amends: dict[str, list[BrokerAmendReq]] = {}
        self.link.start()
        self._begin((), {})

    def _begin(self, known: Sequence[KnownOrder], cursors: dict[str, str]) -> None:
        self.core = BinanceBrokerCore([BTC], self.options, known, cursors, jitter=Random(7))
        self.shell = SimulatedShell(self.time, self.link, KEY, SECRET, [BTC], self.words.extend)
        self.shell.start(self.core)

    def restart(self) -> None:
        """Kill the host and start it again from what it had been told."""
        self.shell.stop()
        self._begin([self.known(name) for name in self.reqs], self.cursors())

    def known(self, name: str) -> KnownOrder:
        """Return what the journal would have of an order."""
        req, words = self.reqs[name], [each for each in self.words if _name(each) == name]
        asked = [(n, each) for n, each in enumerate(self.amends.get(name, []), 1)]
        legs = [KnownLeg(qty_lots=req.qty_lots)]
        for word in words:
            last = legs[-1]
            if isinstance(word, BrokerFill):
                trade_ids = (*last.trade_ids, word.venue_trade_id)
                legs[-1] = replace(last, filled_lots=last.filled_lots + word.qty_lots, trade_ids=trade_ids)
                continue
            assert isinstance(word, BrokerOrderUpdate)
            if word.reason in (OrderReason.AMENDED, OrderReason.AMEND_REFUSED):
                revision, _ = asked.pop(0)
                if word.reason is OrderReason.AMENDED:
                    left = word.qty_lots - word.filled_lots
                    legs.append(KnownLeg(revision=revision, qty_lots=left))
                    req = replace(
                        req,
                        qty_lots=word.qty_lots,
                        limit_price_ticks=word.limit_price_ticks,
                        trigger_price_ticks=word.trigger_price_ticks,
                    )
            if word.venue_order_id:
                legs[-1] = replace(legs[-1], venue_order_id=word.venue_order_id)
        return KnownOrder(
            req=req,
            legs=tuple(legs),
            has_ended=any(each.status in TERMINAL for each in self.updates(name)),
            n_amendments=len(self.amends.get(name, [])),
            amendments=tuple(
                Amendment(
                    revision=revision,
                    qty_lots=each.qty_lots,
                    limit_price_ticks=each.limit_price_ticks,
                    trigger_price_ticks=each.trigger_price_ticks,
                    is_of_before=True,
                )
                for revision, each in asked
            ),
        )

    def cursors(self) -> dict[str, str]:
        """Return the cursors that the journal would have."""
        told = [int(each.venue_trade_id) for each in self.all_fills()]
        return {SYMBOL: str(max(told))} if told else {}

    # --- what the host does ---

    def to(self, at_s: float) -> None:
        """Let the time pass up to so many seconds after the beginning."""
        self.time.run(START_NS + round(at_s * NS_PER_S))

    def place(
        self,
        name: str,
        lots: int = 10,
        price: int = 90,
        side: Side = BUY,
        type_: OrderType = LIMIT,
        **more: Any,
    ) -> BrokerReply:
        """Place an order."""
        req = BrokerOrderReq(
            instrument=0, symbol=SYMBOL, side=side, type=type_, tif=TimeInForce.GTC, qty_lots=lots,
            limit_price_ticks=price if type_.has_limit else 0, reduce_only=False, client_order_id=name,
            ts_ns=self.time.now_ns(),
        )  # fmt: skip
        req = replace(req, **more)
        self.reqs[name] = req
        return self.shell.place(req)

    def cancel(self, name: str) -> BrokerReply:
        """Cancel an order."""
        return self.shell.cancel(
            BrokerCancelReq(symbol=SYMBOL, client_order_id=name, ts_ns=self.time.now_ns())
        )

    def amend(self, name: str, lots: int = 0, price: int = 0, trigger: int = 0) -> BrokerReply:
        """Amend an order; 0 = unchanged."""
        req = BrokerAmendReq(
            symbol=SYMBOL, client_order_id=name, qty_lots=lots, limit_price_ticks=price,
            trigger_price_ticks=trigger, ts_ns=self.time.now_ns(),
        )  # fmt: skip
        self.amends.setdefault(name, []).append(req)
        return self.shell.amend(req)

    # --- what was told ---

    @property
    def health(self) -> Health:
        """The last word on it."""
        return [each for each in self.words if isinstance(each, Health)][-1]

    def updates(self, name: str) -> list[BrokerOrderUpdate]:
        """Return the updates of an order."""
        return [e for e in self.words if isinstance(e, BrokerOrderUpdate) and e.client_order_id == name]

    def statuses(self, name: str) -> list[OrderStatus]:
        """Return the statuses that were told of an order."""
        return [each.status for each in self.updates(name)]

    def reasons(self, name: str) -> list[OrderReason]:
        """Return the reasons of the updates that were told of an order."""
        return [each.reason for each in self.updates(name)]

    def legs(self, name: str) -> list[Json]:
        """Return the venue's orders behind one of ours, oldest first, as the truth has them."""
        orders = self.case.exchange.truth()["accounts"]["alice"]["orders"]
        return [each for each in orders if f"{each['client_order_id']}-".startswith(f"{name}-")]

    def fills(self, name: str) -> list[BrokerFill]:
        """Return the fills of an order."""
        return [each for each in self.words if isinstance(each, BrokerFill) and each.client_order_id == name]

    def all_fills(self) -> list[BrokerFill]:
        """Return all fills as a host books them: the owner's own ones too, unless it knows their trade already."""
        fills: list[BrokerFill] = []
        for each in self.words:
            if isinstance(each, BrokerFill):
                fills.append(each)
            elif isinstance(each, ExternalFill) and each.fill.venue_trade_id not in [
                fill.venue_trade_id for fill in fills
            ]:
                fills.append(each.fill)
        return fills

    def titles(self) -> list[str]:
        """Return what notices say."""
        return [each.title for each in self.words if isinstance(each, Notice)]

    def sent(self, method: str, path: str) -> list[dict[str, str]]:
        """Return the parameters of the requests that arrived."""
        return [params for at, where, params in self.trouble.heard if (at, where) == (method, path)]

    # --- what must be true ---

    def check(self) -> None:
        """Check that words are legal, that fills are the venue's, each once, and that ends are the venue's."""
        truth = self.case.exchange.truth()["accounts"]["alice"]
        told = [each.venue_trade_id for each in self.all_fills()]
        assert len(told) == len(set(told))
        assert sorted(told, key=int) == sorted((str(each["trade_id"]) for each in truth["trades"]), key=int)
        for name in self.reqs:
            self._check_words(name)
            statuses, rows = self.statuses(name), self.legs(name)
            if rows:
                assert sum(each["status"] in ("NEW", "PARTIALLY_FILLED") for each in rows) <= 1
                row = rows[-1]
                said = {"NEW": "accepted", "EXPIRED_IN_MATCH": "expired"}.get(
                    row["status"], row["status"].lower()
                )
                is_of_its_own = row["type"] == "MARKET" or row["time_in_force"] != "GTC"
                if row["status"] == "EXPIRED" and is_of_its_own:
                    said = "canceled"
                ours = statuses[-1]
                if ours in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                    said = said.replace("partially_filled", "accepted")
                    ours = OrderStatus.ACCEPTED
                assert ours == said, (name, statuses, said)
            elif statuses:
                assert statuses[-1] in (OrderStatus.REJECTED, OrderStatus.CANCELED)

    def _check_words(self, name: str) -> None:
        status, filled = OrderStatus.SENT, 0
        for word in self.words:
            if isinstance(word, BrokerFill) and word.client_order_id == name:
                filled += word.qty_lots
                assert status not in TERMINAL
                assert status is not OrderStatus.SENT
            elif isinstance(word, BrokerOrderUpdate) and word.client_order_id == name:
                assert may_follow(status, word.status), (name, status, word)
                assert status not in TERMINAL
                assert word.filled_lots == filled
                status = word.status


def _name(word: Word) -> str:
    return word.client_order_id if isinstance(word, (BrokerFill, BrokerOrderUpdate)) else ""
