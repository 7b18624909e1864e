"""Flattener: the component that closes the account's positions when the kill switch asks for it.

In come the switch's word and the ends of orders; out go reduce-only market orders, as wishes that the gate
decides on like any other. It starts in an instrument when no order works there any more, so that one order closes all;
a strategy that offers again whatever is canceled does not delay it: the second attempt closes at once what no working
order would close. An order belongs to the strategy that holds what it closes, so that every strategy's own count goes
to zero with the account's. A venue or a gate that refuses is asked three times, ten seconds of engine time apart.
"""

from collections.abc import Iterator, Sequence

from njord.core.account import Account
from njord.core.component import Handler
from njord.core.contracts import (
    CancelIntent,
    KillSwitchState,
    Message,
    OrderIntent,
    OrderUpdate,
    TimerFired,
    TimerSet,
)
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.core.orders import TERMINAL, WorkingOrder
from njord.core.types import ACTIVE, BUY, SELL, Side
from njord.core.units import NS_PER_S

OWNER = "@flatten"  # No strategy file can be called so: neither its intents' ids nor its timers meet theirs.
ATTEMPTS_MAX = 3  # For each instrument and trip.
RETRY_NS = 10 * NS_PER_S
PIECES_MAX = 100  # Orders of one attempt, where the venue's largest order is smaller than the position.


class Flattener:
    """Closes positions while a source of the kill switch asks for it.

    Args:
        account: The ledger's account: what is to become zero.
        instruments: All instruments of the run.
        holdings: The open orders and who holds what, as the order manager follows it; it is asked before this stage.
        mark_ticks: The last price of each instrument, kept by another stage; 0 while unknown.
        account_id: Stamped on what it asks for.
    """

    def __init__(
        self,
        account: Account,
        instruments: Sequence[Instrument],
        holdings: Holdings,
        mark_ticks: Sequence[int],
        account_id: str,
    ) -> None:
        self._account = account
        self._instruments = instruments
        self._working = holdings.working
        self._held = holdings.lots
        self._mark_ticks = mark_ticks
        self._account_id = account_id
        self._ids = Counter(OWNER)
        self._asking: dict[str, str] = {}  # The sources that want everything closed, and why.
        self._attempts = [0] * len(instruments)  # Of the trip under way.
        self._waiting: set[int] = set()  # Instruments whose attempt has yet to send its orders.

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            KillSwitchState: self._on_switch,
            OrderUpdate: self._on_update,
            TimerFired: self._on_timer,
        }

    def closable_lots(self, instrument: int, ts_ns: int) -> int:
        """Return how many lots of a position an order can close: 0 if the rest is too small for the venue."""
        lots = abs(self._instruments[instrument].lots(self._account.position(instrument).qty))
        return self._as_order(instrument, lots, ts_ns)

    def is_flat(self, ts_ns: int) -> bool:
        """Say whether no order works, and no position is left that an order can close."""
        return not self._working and not any(
            self.closable_lots(index, ts_ns) for index in range(len(self._instruments))
        )

    # --- following the engine's messages ---

    def _on_switch(self, word: KillSwitchState) -> Sequence[Message] | None:
        was_asked = bool(self._asking)
        if word.flattens and word.state is not ACTIVE:
            self._asking[word.source] = word.reason
        else:
            self._asking.pop(word.source, None)
        if was_asked or not self._asking:
            return None
        self._attempts = [0] * len(self._instruments)
        self._waiting.clear()
        return [
            message for index in range(len(self._instruments)) for message in self._begin(index, word.ts_ns)
        ]

    # The end of an order of ours asks for nothing: a venue that refuses would be asked again at once, for ever.
    def _on_update(self, update: OrderUpdate) -> Sequence[Message] | None:
        if not self._asking or update.status not in TERMINAL or update.instrument not in self._waiting:
            return None
        if _is_own(update.intent_id):
            return None
        return list(self._close(update.instrument, update.ts_ns))

    # An order of ours that still works is left alone: on bars it fills with the next one, however late that comes.
    def _on_timer(self, timer: TimerFired) -> Sequence[Message] | None:
        if timer.strategy_id != OWNER or not self._asking:
            return None
        index, ts_ns = timer.instrument, timer.ts_ns
        if not self.closable_lots(index, ts_ns):
            return None
        if any(_is_own(order.intent_id) for order in self._orders(index)):
            return [self._again(index, ts_ns)]
        cancels = [self._cancel(order, ts_ns) for order in self._orders(index)]
        return [*cancels, *self._begin(index, ts_ns)]

    # --- closing ---

    # The next attempt; the first waits for the last order that works.
    def _begin(self, index: int, ts_ns: int) -> Iterator[Message]:
        if self._attempts[index] >= ATTEMPTS_MAX or not (
            self.closable_lots(index, ts_ns) or self._orders(index)
        ):
            return
        self._attempts[index] += 1
        self._waiting.add(index)
        yield self._again(index, ts_ns)
        yield from self._close(index, ts_ns)

    # Closes what no working order would close.
    def _close(self, index: int, ts_ns: int) -> Iterator[OrderIntent]:
        orders = self._orders(index)
        if orders and self._attempts[index] == 1:
            return
        if all(_is_own(order.intent_id) for order in orders):
            self._waiting.discard(index)
        side = SELL if self._account.position(index).qty > 0 else BUY
        uncovered = self.closable_lots(index, ts_ns) - self._working.side_lots(index, side)
        for strategy_id, lots in self._shares(index, side, self._as_order(index, uncovered, ts_ns), ts_ns):
            for piece in self._pieces(index, lots, ts_ns):
                yield OrderIntent(
                    ts_ns=ts_ns,
                    instrument=index,
                    account_id=self._account_id,
                    strategy_id=strategy_id,
                    intent_id=self._ids.next(),
                    side=side,
                    qty_lots=piece,
                    reduce_only=True,
                    reason=self._why(),
                )

    # Whose lots are closed, the largest holding first. What is too small for an order of its own, or left over
    # because fees in kind have eaten part of a holding, joins the largest.
    def _shares(self, index: int, side: Side, left: int, ts_ns: int) -> list[tuple[str, int]]:
        holders = [
            (owner, -side.sign * lots) for (owner, held_in), lots in self._held.items() if held_in == index
        ]
        holders = sorted(((owner, lots) for owner, lots in holders if lots > 0), key=lambda each: -each[1])
        shares: list[tuple[str, int]] = []
        for owner, lots in holders:
            share = self._as_order(index, min(lots, left), ts_ns)
            if share:
                shares.append((owner, share))
                left -= share
        if left and holders:
            shares[:1] = [(holders[0][0], left + (shares[0][1] if shares else 0))]
        return shares

    def _pieces(self, index: int, lots: int, ts_ns: int) -> Iterator[int]:
        instrument = self._instruments[index]
        largest = min(instrument.filters_at(ts_ns).max_qty_lots, instrument.max_market_lots)
        most = self._as_order(index, largest, ts_ns)
        for _ in range(PIECES_MAX):
            piece = min(lots, most)
            if not piece:
                return
            yield piece
            lots -= piece

    # The most of `lots` that one order may say: whole steps of the time; 0 where that is below the venue's minima.
    def _as_order(self, index: int, lots: int, ts_ns: int) -> int:
        instrument = self._instruments[index]
        filters = instrument.filters_at(ts_ns)
        lots -= lots % filters.lot_multiple
        if lots < filters.min_qty_lots:
            return 0
        mark = self._mark_ticks[index]
        is_too_small = mark and instrument.notional(mark, lots) < filters.min_notional
        return 0 if is_too_small else lots

    def _orders(self, index: int) -> list[WorkingOrder]:
        return [order for order in self._working if order.instrument == index]

    def _cancel(self, order: WorkingOrder, ts_ns: int) -> CancelIntent:
        return CancelIntent(
            ts_ns=ts_ns,
            instrument=order.instrument,
            account_id=self._account_id,
            strategy_id=order.strategy_id,
            intent_id=self._ids.next(),
            client_order_id=order.client_order_id,
            reason=self._why(),
        )

    def _again(self, index: int, ts_ns: int) -> TimerSet:
        return TimerSet(
            ts_ns=ts_ns, strategy_id=OWNER, instrument=index, key="retry", due_ns=ts_ns + RETRY_NS
        )

    def _why(self) -> str:
        source, reason = next(iter(self._asking.items()))
        return f"{source} flattens: {reason}" if reason else f"{source} flattens"


def _is_own(intent_id: str) -> bool:
    return intent_id.startswith(f"{OWNER}-")
