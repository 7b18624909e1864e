"""What both venues' stages share: a clock that a card moves, names for orders, and questions put into words."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from njord.core.broker import IBroker
from njord.core.contracts import BrokerReject, OrderEvent
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.execution.gateway import request_of
from tests.contract.cards import ASKS, BIDS, BTC, LAST, Amend, Card, Only, Order, Print, Where
from tests.contract.heard import (
    Ear,
    amend_event,
    balance_lines,
    cancel_event,
    order_event,
    rule_line,
    state_line,
    trade_line,
)
from tests.contract.script_market import ScriptTape

BEGIN_NS = 1_700_000_040 * NS_PER_S
PASS_NS = NS_PER_MS  # Between two steps of a card.


class ScriptClock:
    """The time of a card's host and of its venue."""

    def __init__(self, begin_ns: int) -> None:
        self._now_ns = begin_ns

    def now_ns(self) -> int:
        """Return it."""
        return self._now_ns

    def pass_ns(self, ns: int) -> int:
        """Let it go on, and return it."""
        self._now_ns += ns
        return self._now_ns


class BaseStage(ABC):
    """One venue, for one card or for several after each other.

    Attributes:
        where: Which venue it is.
        clock: Of the host and the venue.
        tape: What happens at the market.
        ear: What the host hears.
        broker: The venue's order side.
    """

    where: Where
    broker: IBroker

    def __init__(self, begin_ns: int, cash: Decimal) -> None:
        self.clock = ScriptClock(begin_ns)
        self.tape = ScriptTape()
        self.ear = Ear(cash)
        self._n_orders = 0
        self._ids: dict[str, str] = {}

    # --- a card ---

    def play(self, card: Card) -> list[str]:
        """Play a card, and return all that was heard; stops waiting for what does not come after a while."""
        self._begin()
        expected = 0
        for step in card.script:
            if isinstance(step, str | Only):
                expected += len(step.lines if isinstance(step, Only) and step.where is self.where else ())
                expected += isinstance(step, str)
                continue
            self._hear_until(expected)
            self.clock.pass_ns(PASS_NS)
            self.ear.lines += step.act(self)
        self._hear_until(expected)
        self._settle()
        return self.ear.lines[:]

    def _begin(self) -> None:
        self._ids.clear()
        self.ear.names.clear()
        self._move(lambda ts_ns: self.tape.reset(ts_ns, BIDS, ASKS, LAST))
        self.ear.lines.clear()

    @abstractmethod
    def _hear_until(self, n_lines: int) -> None:
        """Hear until so many lines were heard."""

    @abstractmethod
    def _settle(self) -> None:
        """Hear whatever is still on its way; then leave the venue as it was."""

    @abstractmethod
    def _move(self, change: Callable[[int], None]) -> None:
        """Let the market's tape grow at a time of now, and the venue read it."""

    @abstractmethod
    def _tell(self, message: Any) -> None:
        """Let the host send what the gate has approved."""

    # --- steps ---

    def place(self, order: Order) -> None:
        """Send an order."""
        self._n_orders += 1
        self._ids[order.name] = f"NJ-{self._n_orders:020d}"
        name = self._ids[order.name]
        self.ear.names[name] = order.name
        self._tell(order_event(order, name, self.clock.now_ns()))

    def cancel(self, name: str) -> None:
        """Send a cancel."""
        self._tell(cancel_event(self._ids.get(name, "NJ-never"), self.clock.now_ns()))

    def amend(self, amend: Amend) -> None:
        """Send an amendment."""
        self._tell(amend_event(amend, self._ids[amend.name], self.clock.now_ns()))

    def market(self, bids: Mapping[str, str], asks: Mapping[str, str], prints: Sequence[Print]) -> None:
        """Let the book change, then the public trade."""

        def change(ts_ns: int) -> None:
            self.tape.change(ts_ns, bids, asks)
            self.tape.prints(ts_ns, prints)

        self._move(change)

    def place_again(self, name: str) -> str:
        """Hand the broker an order once more, past the gateway, which would not; return its answer."""
        sent = next(
            message
            for message in self.ear.journal
            if isinstance(message, OrderEvent) and message.client_order_id == self._ids[name]
        )
        reply = self.broker.place(request_of(sent, BTC.symbol, self.clock.pass_ns(PASS_NS)))
        return f"refused: {reply.reason.value}" if isinstance(reply, BrokerReject) else "taken"

    def ask(self, what: str, argument: str) -> list[str]:
        """Ask the broker."""
        broker, names = self.broker, self.ear.names
        if what == "order":
            return [state_line(broker.fetch_order(BTC.symbol, self._ids.get(argument, "NJ-never")), names)]
        if what == "open_orders":
            found = broker.fetch_open_orders(None)
            return [state_line(each, names) for each in found] or ["no open orders"]
        if what == "trades":
            ours = [each for each in broker.fetch_trades(BTC.symbol, "") if each.client_order_id in names]
            after = ours[int(argument) - 1].venue_trade_id if argument else ""
            trades = broker.fetch_trades(BTC.symbol, after)
            return [trade_line(each, names) for each in trades if each.client_order_id in names] or [
                "no trades"
            ]
        if what == "balances":
            return balance_lines(broker.fetch_balances())
        if what == "rules":
            return [rule_line(each) for each in broker.exchange_rules()]
        assert what == "time"
        off_ns = broker.server_time() - self.clock.now_ns()
        return ["it is the host's time" if abs(off_ns) < NS_PER_S else f"it is {off_ns} ns off"]

    @abstractmethod
    def passes(self, seconds: float) -> None:
        """Let time pass."""

    def try_out(self, do: Callable[[Any], Iterable[str]]) -> list[str]:
        """Do something beside the broker."""
        return list(do(self))
