"""One system at a real venue, message by message. What the venue says comes from outside, whenever it comes.

The live twin of `backtest/host.py`: the same engine, gateway and recorder; only where words come from differs. Here
they are handed in (`hear`), stamped with the time at which they became known, made legal (`execution/live_words.py`) and
journaled like the market's rows, so that a session is run again from its journal alone: while it is run again
(`is_replaying`) nothing is sent. Balances that differ from our books without anything of ours that explains it are the
account owner's doing, and the books follow.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from njord.backtest.host import Stepper, Timers
from njord.backtest.recorder import Recorder
from njord.core.account import Account
from njord.core.clock import Clock
from njord.core.contracts import (
    Alert,
    AmendEvent,
    BalanceAdjusted,
    BrokerFill,
    BrokerOrderUpdate,
    CancelEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderUpdate,
    TimerFired,
    TimerSet,
)
from njord.core.errors import InvariantError, OutcomeUnknown, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL
from njord.core.types import OrderStatus, Severity, Side, TradingState
from njord.core.units import FOREVER_NS
from njord.execution.gateway import Gateway
from njord.execution.live_words import LiveWords, unanswered
from njord.execution.reconcile import Difference, differences
from njord.venues.broker_wire import Balances, ExternalFill, Health, Notice, Word

HOST: Final = "host"  # The source of what a host says of itself.
VENUE_STATE: Final = "venue"  # The source of what the connection to the venue allows.
_ORDERS: frozenset[type[Message]] = frozenset({OrderEvent, CancelEvent, AmendEvent})
_LEAVES: frozenset[type[Message]] = _ORDERS | {TimerSet}


class LiveHost:
    """Feeds a system, and hands what it approves to a live venue's gateway.

    Args:
        engine: What decides.
        account: The ledger's account, which is compared with the venue's balances.
        gateway: The way to the venue; its broker answers with Pending or a refusal, never with a word on a fill.
        instruments: All instruments of the run.
        prices: The last price of each in ticks, 0 where none is known; what is adopted is booked at it.
        account_id: Whose account it is.
        recorder: Follows orders, fills and refusals.
        clock: The host's clock: it stamps what comes in, and judges whether an approval has expired.
        before_send: Called between a decision and the orders that it sends: what was decided must be durable.

    Attributes:
        words: What the venue was told and has said, order by order.
        is_replaying: The journal is run again: nothing is sent, nothing is made up.
        health: What the connection to the venue allows; None before its first word.
        now_ns: Of the last message; never falls.
    """

    def __init__(
        self,
        engine: Stepper,
        account: Account,
        gateway: Gateway,
        instruments: Sequence[Instrument],
        prices: Sequence[int],
        account_id: str,
        recorder: Recorder,
        clock: Clock,
        before_send: Callable[[], None] | None = None,
    ) -> None:
        self.engine = engine
        self._account = account
        self._gateway = gateway
        self._instruments = instruments
        self._prices = prices
        self._account_id = account_id
        self._recorder = recorder
        self._clock = clock
        self._before_send = before_send
        self.words = LiveWords(account_id)
        self.timers = Timers()
        self.is_replaying = False
        self.health: Health | None = None
        self.now_ns = 0
        self._untold: deque[Message] = deque()  # What the gateway said to an order at once.
        self._is_telling = False
        self._waiting: deque[Balances] = deque()  # Balances that wait for a price.

    # --- what comes in ---

    def tell(self, message: Message) -> None:
        """Hand the engine a message that is no market data, now or once more: a start, a switch, an alert, a word."""
        self.now_ns = max(self.now_ns, message.ts_ns)
        self.words.follow(message)
        if isinstance(message, OrderUpdate) and message.status in TERMINAL:
            self._gateway.forget(message.client_order_id)
        self.follow(self.engine.step(message))

    def accept(self, message: Message) -> None:
        """Hand the engine the next message of the market, and before it the timers that are due."""
        if not self.is_replaying:
            self.pass_time(message.ts_ns)
        self.now_ns = max(self.now_ns, message.ts_ns)
        self.follow(self.engine.step(message))
        if self._waiting and not self.is_replaying:
            self._adopt(self._waiting.popleft())

    def pass_time(self, now_ns: int) -> None:
        """Fire the timers that are due until `now_ns`."""
        if self.timers.next_due_ns <= now_ns:
            for timer in self.timers.pop(now_ns):
                self.tell(timer)

    def fired(self, timer: TimerFired) -> None:
        """Fire a timer once more, as the journal has it."""
        self.timers.drop(timer)
        self.tell(timer)

    def hear(self, words: Sequence[Word]) -> None:
        """Tell the engine what the broker says, in order."""
        for word in words:
            now_ns = self._stamp()
            if isinstance(word, BrokerFill):
                order = self.words.orders.get(word.client_order_id)
                if order is None:
                    raise InvariantError(
                        f"the broker tells of order {word.client_order_id}, which was never sent"
                    )
                self._tell_fill(word, order.event.instrument, order.event.side, now_ns)
            elif isinstance(word, ExternalFill):
                index = self._index(word.symbol)
                if index is not None:
                    self._tell_fill(word.fill, index, word.side, now_ns)
            elif isinstance(word, BrokerOrderUpdate):
                for message in self.words.update(word, now_ns):
                    self.tell(message)
            elif isinstance(word, Health):
                self._tell_health(word, now_ns)
            elif isinstance(word, Notice):
                self.tell(self._alert(word, now_ns))
            else:
                self._adopt(word)

    def begin(self) -> None:
        """After a restart: say of every order without a journaled answer that nobody knows what became of it."""
        for update in unanswered(list(self.words.orders.values()), self._stamp()):
            self.tell(update)

    def reconcile(self) -> None:
        """See that our books and the venue's are the same: they are once the connection is reconciled.

        Raises:
            VenueUnavailable: The venue's books are not known, or not yet.
            OutcomeUnknown: Nobody knows what has become of an order.
        """
        if self.health is None or self.health.state is not TradingState.ACTIVE:
            why = "it has not been asked yet" if self.health is None else self.health.reason
            raise VenueUnavailable(f"the venue's books are not known: {why}")
        unknown = [name for name, order in self.words.orders.items() if order.status is OrderStatus.UNKNOWN]
        if unknown:
            raise OutcomeUnknown(f"the outcome of {', '.join(unknown[:3])} is unknown")

    def switch(self, state: TradingState) -> None:
        """Tell the engine the host's own state."""
        self.tell(KillSwitchState(ts_ns=self._stamp(), state=state, source=HOST, valid_until_ns=FOREVER_NS))

    # --- what goes out ---

    def follow(self, messages: list[Message]) -> None:
        """Let everything leave that the engine has decided; then tell it what the gateway said at once."""
        observers = self._recorder.observers
        must_be_durable = self._before_send is not None and not self.is_replaying
        for message in messages:
            kind = type(message)
            observe = observers.get(kind)
            if observe is not None:
                observe(message)
            if kind not in _LEAVES:
                continue
            if isinstance(message, TimerSet):
                self.timers.set(message)
                continue
            if isinstance(message, (OrderEvent, AmendEvent)):
                self.words.sent(message)
                if self.is_replaying and isinstance(message, OrderEvent):
                    self._gateway.adopt(message)
            if self.is_replaying:
                continue
            if must_be_durable and self._before_send is not None:
                self._before_send()
                must_be_durable = False
            assert isinstance(message, (OrderEvent, CancelEvent, AmendEvent))
            reply = self._gateway.send(message, self._clock.now_ns())
            if reply is not None:
                self._untold.append(reply)
        if not self._is_telling:
            self._is_telling = True
            while self._untold:
                self.tell(self._untold.popleft())
            self._is_telling = False

    # --- what words become ---

    def _tell_fill(self, word: BrokerFill, instrument: int, side: Side, now_ns: int) -> None:
        self._waiting.clear()  # They were true before this trade; the venue tells them again.
        for message in self.words.fill(word, instrument, side, now_ns):
            self.tell(message)

    def _tell_health(self, health: Health, now_ns: int) -> None:
        self.health = health
        self.tell(
            KillSwitchState(
                ts_ns=now_ns,
                state=health.state,
                source=VENUE_STATE,
                valid_until_ns=FOREVER_NS,
                reason=health.reason,
            )
        )

    # Each asset is compared with what our books say at this very moment; the core promises that no trade is missing.
    def _adopt(self, word: Balances) -> None:
        for found in differences(word.balances, self._account, self._instruments):
            if found.instrument >= 0 and not self._prices[found.instrument]:
                self._waiting.clear()
                self._waiting.append(word)  # Booked when there is a price to book it at.
                return
            now_ns = self._stamp()
            self.tell(self._adjustment(found, now_ns))
            self.tell(
                self._alert(
                    Notice(
                        severity=Severity.WARNING,
                        title="a balance changed without an order of ours; the books follow",
                        message=f"{found.asset}: our books said {found.ours}, the venue says {found.theirs}",
                        labels=(("asset", found.asset),),
                    ),
                    now_ns,
                )
            )

    def _adjustment(self, found: Difference, now_ns: int) -> BalanceAdjusted:
        return BalanceAdjusted(
            ts_ns=now_ns,
            account_id=self._account_id,
            asset=found.asset,
            amount=found.amount,
            instrument=found.instrument,
            price_ticks=self._prices[found.instrument] if found.instrument >= 0 else 0,
            reason="the venue's balance",
        )

    def _alert(self, notice: Notice, now_ns: int) -> Alert:
        return Alert(
            ts_ns=now_ns,
            severity=notice.severity,
            category="execution",
            source="broker",
            title=notice.title,
            message=notice.message,
            labels=notice.labels,
        )

    def _index(self, symbol: str) -> int | None:
        for index, instrument in enumerate(self._instruments):
            if instrument.symbol == symbol:
                return index
        return None

    def _stamp(self) -> int:
        return max(self.now_ns, self._clock.now_ns())
