"""Runner: the component that hosts strategies. Market data and fills in, stamped proposals out.

One strategy object per (strategy, instrument). A strategy that raises loses that callback's proposals and is
suspended; the others go on. This is the only place besides a host's outermost loop that catches what it does not
know.
"""

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from njord.core.account import Account
from njord.core.component import Handler
from njord.core.contracts import (
    Bar,
    BookEvent,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    ProposalRefused,
    StrategySuspended,
    Target,
    TimerFired,
    TimerSet,
    TradeEvent,
)
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.strategies.base import Proposals, Strategy
from njord.strategies.context import BarView, Context, World


class HostedStrategy:
    """One strategy object on one instrument, with its context."""

    __slots__ = ("context", "instrument", "is_suspended", "on_bar", "strategy", "strategy_id", "warm_up")

    def __init__(self, strategy_id: str, strategy: Strategy, instrument: int) -> None:
        self.strategy_id = strategy_id
        self.strategy = strategy
        self.instrument = instrument
        self.warm_up = strategy.warm_up()
        self.is_suspended = False
        self.on_bar = strategy.on_bar
        self.context: Context


class StrategyRunner:
    """Hosts the strategies of a run.

    Args:
        hosted: One entry per strategy and instrument.
        instruments: All instruments of the run.
        account: A mirror of the ledger's account, fed by its snapshots.
        account_id: Stamped on every intent.
        counters: The id counter of each strategy, so that ids can continue from a journal.
    """

    def __init__(
        self,
        hosted: Sequence[HostedStrategy],
        instruments: Sequence[Instrument],
        account: Account,
        account_id: str,
        counters: Mapping[str, Counter],
    ) -> None:
        self.world = World(account, len(instruments))
        self._instruments = instruments
        self._account_id = account_id
        self._counters = counters
        self._hosted = list(hosted)
        self._by_instrument: list[list[HostedStrategy]] = [[] for _ in instruments]
        for host in hosted:
            host.context = Context(
                self.world, instruments, host.instrument, host.strategy_id, max(1, host.warm_up)
            )
            host.context.warm_up = host.warm_up
            self._by_instrument[host.instrument].append(host)

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            Bar: self._on_bar,
            TradeEvent: self._on_trade,
            BookEvent: self._on_book,
            TimerFired: self._on_timer,
            OrderEvent: self._on_order,
            OrderUpdate: self._on_update,
            FillEvent: self._on_fill,
            PositionSnapshot: self._on_position,
        }

    # --- market data ---

    def _on_bar(self, bar: Bar) -> Sequence[Message] | None:
        world = self.world
        world.ts_ns = bar.ts_ns
        world.mark_ticks[bar.instrument] = bar.close
        caused: list[Message] | None = None
        for host in self._by_instrument[bar.instrument]:
            if host.is_suspended:
                continue
            context = host.context
            context.n_bars += 1
            context._bars.append(bar)
            try:
                proposals = host.on_bar(context, BarView(bar, self._instruments[bar.instrument]))
            except Exception as error:
                proposals, caused = None, [*(caused or ()), self._suspend(host, bar.ts_ns, error)]
            if proposals:
                caused = [*(caused or ()), *self._stamp(host, bar.ts_ns, proposals)]
        return caused

    def _on_trade(self, trade: TradeEvent) -> list[Message]:
        self.world.mark_ticks[trade.instrument] = trade.price_ticks
        return self._tell(self._by_instrument[trade.instrument], "on_trade", trade)

    def _on_book(self, book: BookEvent) -> list[Message]:
        return self._tell(self._by_instrument[book.instrument], "on_book", book)

    def _on_timer(self, timer: TimerFired) -> list[Message]:
        return self._tell(self._owners(timer.strategy_id, timer.instrument), "on_timer", timer)

    # --- what came of earlier proposals ---

    def _on_order(self, order: OrderEvent) -> None:
        self.world.working.approve(order)

    def _on_update(self, update: OrderUpdate) -> None:
        self.world.working.update(update)

    def _on_position(self, snapshot: PositionSnapshot) -> None:
        self.world.account.adopt(snapshot)

    def _on_fill(self, fill: FillEvent) -> list[Message]:
        self.world.working.fill(fill)
        return self._tell(self._owners(fill.strategy_id, fill.instrument), "on_fill", fill)

    # --- calling strategies ---

    def _owners(self, strategy_id: str, instrument: int) -> list[HostedStrategy]:
        return [
            host
            for host in self._hosted
            if host.strategy_id == strategy_id and (instrument < 0 or host.instrument == instrument)
        ]

    def _tell(self, hosts: Sequence[HostedStrategy], callback: str, message: Any) -> list[Message]:
        self.world.ts_ns = message.ts_ns
        caused: list[Message] = []
        for host in hosts:
            if host.is_suspended:
                continue
            try:
                proposals = getattr(host.strategy, callback)(host.context, message)
            except Exception as error:
                caused.append(self._suspend(host, message.ts_ns, error))
            else:
                if proposals:
                    caused += self._stamp(host, message.ts_ns, proposals)
        return caused

    def _suspend(self, host: HostedStrategy, ts_ns: int, error: Exception) -> StrategySuspended:
        for other in self._hosted:
            if other.strategy_id == host.strategy_id:
                other.is_suspended = True
        frames = traceback.extract_tb(error.__traceback__)
        where = frames[-1] if frames else None
        # The file's name only: a journal holds nothing of the machine.
        place = f"{where.filename.rpartition('/')[2]}:{where.lineno}" if where else "?"
        text = f"{place}: {type(error).__name__}: {error}"
        return StrategySuspended(ts_ns=ts_ns, strategy_id=host.strategy_id, error=text)

    # Fills in who, what and when; refuses what comes before the warm-up's end.
    def _stamp(self, host: HostedStrategy, ts_ns: int, proposals: Proposals) -> list[Message]:
        if proposals is None:
            return []
        every = proposals if isinstance(proposals, (list, tuple)) else (proposals,)
        stamped: list[Message] = []
        for proposal in every:
            if not isinstance(proposal, (Target, OrderIntent, CancelIntent, TimerSet)):
                error = TypeError(
                    f"a callback returns Target, OrderIntent, CancelIntent or TimerSet, was {proposal!r:.80}"
                )
                return [*stamped, self._suspend(host, ts_ns, error)]
            stamped.append(self._identified(host, ts_ns, proposal))
        return stamped

    def _identified(
        self, host: HostedStrategy, ts_ns: int, proposal: Target | OrderIntent | CancelIntent | TimerSet
    ) -> Message:
        who = {"ts_ns": ts_ns, "strategy_id": host.strategy_id, "instrument": host.instrument}
        if isinstance(proposal, TimerSet):
            return replace(proposal, **who)
        if not host.context.is_warm and not isinstance(proposal, CancelIntent):
            return ProposalRefused(
                ts_ns=ts_ns,
                instrument=host.instrument,
                strategy_id=host.strategy_id,
                proposal=type(proposal).__name__,
                reason=RefusalReason.WARM_UP,
                detail=f"bar {host.context.n_bars} of {host.warm_up}",
            )
        if isinstance(proposal, Target):
            return replace(proposal, **who)
        intent_id = self._counters[host.strategy_id].next()
        return replace(proposal, account_id=self._account_id, intent_id=intent_id, **who)
