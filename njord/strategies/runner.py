"""Runner: the component that hosts strategies. Market data and fills in, stamped proposals out.

One strategy object per (strategy, instrument). A strategy that raises, or proposes what no message can say, loses
all proposals that it made in that moment and is suspended; the others go on. This is the only place besides a host's
outermost loop that catches what it does not know.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from njord.core.component import Handler
from njord.core.contracts import (
    VENUE,
    AmendEvent,
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
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, RefusalReason
from njord.strategies.base import Proposals, Strategy
from njord.strategies.context import BarView, Context, World
from njord.strategies.features import BarColumns, BoolArray
from njord.strategies.history import BlockHistory
from njord.strategies.hosted import HostedStrategy, place_of, said
from njord.strategies.proposals import CheckedProposal, Names, check_names, checked, is_plain

_Awake = tuple["HostedStrategy", Context, Callable[[Bar], None]]
_QUIET = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})  # Unless a reason says more.
_NO_NAMES = Names()  # A target has none.


class StrategyRunner:
    """Hosts the strategies of a run.

    Args:
        hosted: One entry per strategy and instrument.
        instruments: All instruments of the run.
        holdings: What the strategies have, with a mirror of the ledger's account.
        account_id: Stamped on every intent.
        counters: The id counter of each strategy, so that ids can continue from a journal.
        follows_holdings: Whether orders and fills are followed here, and not by a stage that is asked before.
    """

    def __init__(
        self,
        hosted: Sequence[HostedStrategy],
        instruments: Sequence[Instrument],
        holdings: Holdings,
        account_id: str,
        counters: Mapping[str, Counter],
        *,
        follows_holdings: bool = True,
    ) -> None:
        self.world = World(holdings, len(instruments))
        self._follows_holdings = follows_holdings
        self._instruments = instruments
        self._account_id = account_id
        self._counters = counters
        self._hosted = list(hosted)
        self._told_of_fills = [host for host in hosted if type(host.strategy).on_fill is not Strategy.on_fill]
        self._told_of_orders = [
            host for host in hosted if type(host.strategy).on_order is not Strategy.on_order
        ]
        self._by_instrument: list[list[HostedStrategy]] = [[] for _ in instruments]
        for host in hosted:
            host.join(
                Context(
                    self.world,
                    instruments,
                    host.instrument,
                    host.strategy_id,
                    host.warm_up,
                    host.strategy.warm_from,
                )
            )
            self._by_instrument[host.instrument].append(host)
        self._awake: list[list[_Awake]] = []
        self._histories: dict[int, BlockHistory] = {}
        self._wake()

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        table: dict[type[Message], Handler] = {
            Bar: self._on_bar,
            TradeEvent: self._on_trade,
            BookEvent: self._on_book,
            TimerFired: self._on_timer,
            PositionSnapshot: self.world.account.adopt,
        }
        if self._follows_holdings:
            working = self.world.working
            table |= {OrderEvent: working.approve, AmendEvent: working.amend, OrderUpdate: working.update}
        if self._told_of_orders:
            table[OrderUpdate] = self._on_update
        if self._follows_holdings or self._told_of_fills:
            table[FillEvent] = self._on_fill
        return table

    @property
    def hosted(self) -> tuple[HostedStrategy, ...]:
        """Every strategy object with its context, one per instrument."""
        return tuple(self._hosted)

    # --- what is computed before the run ---

    def wants_columns(self, instrument: int) -> bool:
        """Say whether a strategy computes features of this instrument's bars beforehand."""
        return any(
            type(host.strategy).precompute is not Strategy.precompute
            for host in self._by_instrument[instrument]
        )

    def precompute(self, instrument: int, bars: BarColumns) -> None:
        """Let the strategies compute their features; called before the first event, with the bars of the whole run."""
        for host in self._by_instrument[instrument]:
            if type(host.strategy).precompute is not Strategy.precompute:
                host.context._features = host.precompute(bars)
        self._wake()

    # --- what is computed as blocks of bars come ---

    def sleep_on(self, instrument: int) -> bool:
        """Say whether every strategy on the instrument tells where it has nothing to do; its bars come in blocks then."""
        hosts = self._by_instrument[instrument]
        if not all(host.sleeps for host in hosts):
            return False
        history = BlockHistory(max((host.warm_up for host in hosts), default=0))
        self._histories[instrument] = history
        for host in hosts:
            host.context._history = history
        return True

    def foresee(self, instrument: int, bars: BarColumns | None) -> None:
        """Compute the indicators of the bars that come next; None where nobody has them as columns."""
        for host in self._by_instrument[instrument]:
            host.foresee(bars)

    def begin(self, instrument: int, bars: Sequence[Bar]) -> None:
        """Let history go on with the bars that come next; of an instrument that `sleep_on` was asked of."""
        if self._awake[instrument]:
            self._histories[instrument].begin(self._awake[instrument][0][1].n_bars, bars)

    def awake(self, instrument: int, n_rows: int) -> BoolArray:
        """Return where in the next bars, which `foresee` knows, a strategy must see its bar, shape (n_rows,).

        Raises:
            StrategyError: A `wakes` failed.
        """
        rows = np.zeros(n_rows, dtype=np.bool_)
        for host, _, _ in self._awake[instrument]:
            rows |= host.awake(n_rows)
        return rows

    def pass_over(self, instrument: int, n_bars: int) -> None:
        """Let `n_bars` bars pass that nobody needs to see."""
        for _, context, _ in self._awake[instrument]:
            context._n_bars += n_bars

    def observe(self, bar: Bar) -> None:
        """Take over time and price of the last bar that was passed over."""
        self.world.ts_ns = bar.ts_ns
        self.world.mark_ticks[bar.instrument] = bar.close

    # Who is told of bars, with what every bar needs of it. A new list: the old one may just be walked.
    def _wake(self) -> None:
        self._awake = [
            [(host, host.context, host.context._bars.append) for host in hosts if not host.is_suspended]
            for hosts in self._by_instrument
        ]

    # --- market data ---

    def _on_bar(self, bar: Bar) -> Sequence[Message] | None:
        world, index = self.world, bar.instrument
        world.ts_ns = bar.ts_ns
        world.mark_ticks[index] = bar.close
        view = BarView(bar, self._instruments[index])
        caused: list[Message] | None = None
        for host, context, remember in self._awake[index]:
            context._n_bars += 1
            remember(bar)
            try:
                on_bar = host.on_bar  # Called as a method it would be looked up anew at every bar.
                proposals = on_bar(context, view)
                if proposals is not None:
                    stamped = self._stamp(host, bar.ts_ns, proposals)
                    caused = [*caused, *stamped] if caused else stamped
            except (Exception, SystemExit) as error:
                caused = self._suspend(host, host.failed_in, bar.ts_ns, error, caused or ())
        return caused

    def _on_trade(self, trade: TradeEvent) -> list[Message]:
        self.world.mark_ticks[trade.instrument] = trade.price_ticks
        return self._tell(self._by_instrument[trade.instrument], "on_trade", trade)

    def _on_book(self, book: BookEvent) -> list[Message]:
        view = self.world.books[book.instrument]
        if view is None:
            from njord.strategies.book_view import (
                BookView,
            )  # Loads a compiler: only a run with a book waits for it.

            view = self.world.books[book.instrument] = BookView(self._instruments[book.instrument])
        view._apply(book)
        return self._tell(self._by_instrument[book.instrument], "on_book", book)

    def _on_timer(self, timer: TimerFired) -> list[Message]:
        return self._tell(_owners(self._hosted, timer.strategy_id, timer.instrument), "on_timer", timer)

    # --- what came of earlier proposals ---

    def _on_fill(self, fill: FillEvent) -> list[Message] | None:
        if self._follows_holdings:
            self.world.holdings.fill(fill)
        if fill.strategy_id == VENUE:
            told = [host for host in self._told_of_fills if host.instrument == fill.instrument]
        else:
            told = _owners(self._told_of_fills, fill.strategy_id, fill.instrument)
        if not told:
            return None
        # The ledger's snapshot is still on its way, and a strategy must meet its fill with the position it made.
        self.world.account.apply_fill(fill, self.world.mark_ticks)
        return self._tell(told, "on_fill", fill)

    # That an order was accepted or filled needs no second word.
    def _on_update(self, update: OrderUpdate) -> list[Message] | None:
        if self._follows_holdings:
            self.world.working.update(update)
        is_quiet = update.status in _QUIET and update.reason is OrderReason.NONE
        if is_quiet or update.status is OrderStatus.FILLED:
            return None
        told = _owners(self._told_of_orders, update.strategy_id, update.instrument)
        return self._tell(told, "on_order", update) if told else None

    # --- calling strategies ---

    def _tell(self, hosts: Sequence[HostedStrategy], callback: str, message: Any) -> list[Message]:
        self.world.ts_ns = message.ts_ns
        caused: list[Message] = []
        for host in hosts:
            if host.is_suspended:
                continue
            try:
                proposals = getattr(host.strategy, callback)(host.context, message)
                if proposals is not None:
                    caused += self._stamp(host, message.ts_ns, proposals)
            except (Exception, SystemExit) as error:
                caused = self._suspend(host, callback, message.ts_ns, error, caused)
        return caused

    # Returns what others proposed in the same moment, and the suspension: an order that is still to be made from
    # this strategy's proposals would outlive the cancels that follow.
    def _suspend(
        self,
        host: HostedStrategy,
        callback: str,
        ts_ns: int,
        error: BaseException,
        caused: Sequence[Message],
    ) -> list[Message]:
        for other in self._hosted:
            if other.strategy_id == host.strategy_id:
                other.is_suspended = True
        self._wake()
        kept = [message for message in caused if getattr(message, "strategy_id", "") != host.strategy_id]
        text = f"{place_of(host.strategy, callback, error)}: {type(error).__name__}: {said(error)}"
        return [*kept, StrategySuspended(ts_ns=ts_ns, strategy_id=host.strategy_id, error=text)]

    # Fills in who, what and when; refuses what comes before the warm-up's end.
    def _stamp(self, host: HostedStrategy, ts_ns: int, proposals: Proposals) -> list[Message]:
        if type(proposals) is Target and is_plain(proposals):
            return [self._identified(host, ts_ns, proposals, _NO_NAMES)]
        every = proposals if isinstance(proposals, (list, tuple)) else (proposals,)
        plain = [checked(proposal, ts_ns) for proposal in every]
        check_names(plain)
        names = Names()
        return [self._identified(host, ts_ns, proposal, names) for proposal in plain]

    def _identified(
        self, host: HostedStrategy, ts_ns: int, proposal: CheckedProposal, names: Names
    ) -> Message:
        context, kind = host.context, type(proposal)
        if kind is TimerSet:
            return replace(proposal, ts_ns=ts_ns, strategy_id=host.strategy_id, instrument=host.instrument)
        if context._n_bars < context._warm_from and kind is not CancelIntent:
            return ProposalRefused(
                ts_ns=ts_ns,
                instrument=host.instrument,
                strategy_id=host.strategy_id,
                proposal=kind.__name__,
                reason=RefusalReason.WARM_UP,
                detail=f"bar {context.n_bars} of {host.warm_up}",
            )
        if type(proposal) is Target:
            return Target(
                ts_ns=ts_ns,
                instrument=host.instrument,
                strategy_id=host.strategy_id,
                weight=proposal.weight,
                qty=proposal.qty,
                reason=proposal.reason,
                features=proposal.features,
            )
        intent_id = self._counters[host.strategy_id].next()
        ids = {"intent_id": intent_id}
        if type(proposal) is OrderIntent:
            ids = names.ids_of(proposal, intent_id)
        return replace(
            proposal,
            ts_ns=ts_ns,
            instrument=host.instrument,
            account_id=self._account_id,
            strategy_id=host.strategy_id,
            **ids,
        )


def _owners(hosted: Sequence[HostedStrategy], strategy_id: str, instrument: int) -> list[HostedStrategy]:
    return [
        host
        for host in hosted
        if host.strategy_id == strategy_id and (instrument < 0 or host.instrument == instrument)
    ]
