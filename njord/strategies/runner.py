"""Runner: the component that hosts strategies. Market data and fills in, stamped proposals out.

One strategy object per (strategy, instrument). A strategy that raises, or proposes what no message can say, loses
all proposals that it made in that moment and is suspended; the others go on. This is the only place besides a host's
outermost loop that catches what it does not know.
"""

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from njord.core.account import Account
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
from njord.core.errors import StrategyError
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, RefusalReason
from njord.strategies.base import Proposals, Strategy
from njord.strategies.context import BarView, Context, World
from njord.strategies.features import BarColumns, BoolArray, FloatArray, checked_features
from njord.strategies.history import BlockHistory
from njord.strategies.indicator_steps import Running, start
from njord.strategies.proposals import CheckedProposal, Names, check_names, checked

_Awake = tuple["HostedStrategy", Context, Callable[[Bar], None]]
_QUIET = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})  # Unless a reason says more.
_NO_NAMES = Names()  # A target has none.
_WAKES_HINT = "return an array of bool, one per row of its features, or leave wakes() out"
_ADDRESS = re.compile(r"\b0x[0-9a-f]+")


class HostedStrategy:
    """One strategy object on one instrument, with its context.

    Raises:
        StrategyError: Its warm-up is not a whole number of bars.
    """

    __slots__ = (
        "context",
        "failed_in",
        "indicators",
        "instrument",
        "is_suspended",
        "on_bar",
        "strategy",
        "strategy_id",
        "warm_up",
    )

    def __init__(self, strategy_id: str, strategy: Strategy, instrument: int) -> None:
        self.strategy_id = strategy_id
        self.strategy = strategy
        self.instrument = instrument
        self.warm_up = strategy.warm_up()
        if type(self.warm_up) is not int or self.warm_up < 0:
            raise StrategyError(
                f"warm_up() of {strategy_id} must be a whole number of bars >= 0, was {self.warm_up!r}"
            )
        self.is_suspended = False
        self.on_bar: Callable[[Context, BarView], Proposals] = strategy.on_bar
        self.failed_in = "on_bar"  # Where an error that calling `on_bar` raises comes from.
        self.indicators: dict[str, Running] = {}
        self.context: Context

    def join(self, context: Context) -> None:
        """Take the context that it reads; its indicators begin there, bar by bar until blocks are told of.

        Raises:
            StrategyError: What `indicators` returned is none.
        """
        self.context = context
        try:
            self.indicators = {
                name: start(indicator, context.instrument)
                for name, indicator in self.strategy.indicators().items()
            }
        except Exception as error:
            raise StrategyError(
                f"indicators() of {self.strategy_id} must name indicators, {type(error).__name__}: {error}"
            ) from None
        if self.indicators:
            self.on_bar = self._step_and_call

    @property
    def sleeps(self) -> bool:
        """Whether it says where its `on_bar` has nothing to do."""
        return type(self.strategy).wakes is not Strategy.wakes and self.failed_in == "on_bar"

    def foresee(self, bars: BarColumns | None) -> None:
        """Compute the indicators of a block that begins now; None where its bars come one by one."""
        context, indicators = self.context, self.indicators
        if not indicators:
            return
        n_before, block = context._n_bars, context._block
        if block is not None:
            context._latest = {name: float(values[-1]) for name, values in block.items()}
        if bars is None:
            context._block = None
            self._call_with(self._step_and_call)
            return
        pieces = {name: running.piece(bars) for name, running in indicators.items()}
        if n_before:
            latest = context._latest
            pieces = {name: np.append(latest[name], values) for name, values in pieces.items()}
        for values in pieces.values():
            values.flags.writeable = False
        context._block, context._block_from = pieces, max(0, n_before - 1)
        self._call_with(self.strategy.on_bar)

    def awake(self, n_rows: int) -> BoolArray:
        """Return the rows of the block under way, shape (n_rows,), at which `on_bar` must be called.

        Raises:
            StrategyError: `wakes` failed, or returned something else.
        """
        context = self.context
        first = max(0, context._n_bars - 1)
        n = n_rows + (context._n_bars > 0)
        features = {name: values[first : first + n] for name, values in (context._features or {}).items()}
        features |= context._block or {}
        try:
            said = self.strategy.wakes(features)
        except (Exception, SystemExit) as error:
            place = _place(self.strategy, "wakes", error)
            raise StrategyError(f"{place}: {type(error).__name__}: {_said(error)}", _WAKES_HINT) from None
        _check_rows(said, n, self.strategy_id)
        rows: BoolArray = said[n - n_rows :].copy()
        first_warm = max(1, context._warm_from) - 1 - context._n_bars
        if 0 <= first_warm < n_rows:
            rows[first_warm] = True  # What was refused until then may be proposed now.
        return rows

    def _step_and_call(self, ctx: Context, bar: BarView) -> Proposals:
        ctx._latest = {name: running.step(bar.message) for name, running in self.indicators.items()}
        return self.strategy.on_bar(ctx, bar)

    # What a failed precompute has put in its place stays.
    def _call_with(self, on_bar: Callable[[Context, BarView], Proposals]) -> None:
        if self.failed_in == "on_bar":
            self.on_bar = on_bar

    def precompute(self, bars: BarColumns) -> dict[str, FloatArray]:
        """Return the strategy's features of all bars; none if it fails, and `on_bar` then raises what was raised.

        Before the first bar there is no moment at which a suspension could be told.
        """
        try:
            return checked_features(self.strategy.precompute(bars), len(bars))
        except (Exception, SystemExit) as error:
            failure = error

            def fail(ctx: Context, bar: BarView) -> Proposals:
                raise failure

            self.on_bar, self.failed_in = fail, "precompute"
            return {}


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
        return {
            Bar: self._on_bar,
            TradeEvent: self._on_trade,
            BookEvent: self._on_book,
            TimerFired: self._on_timer,
            OrderEvent: self.world.working.approve,
            AmendEvent: self.world.working.amend,
            OrderUpdate: self._on_update if self._told_of_orders else self.world.working.update,
            FillEvent: self._on_fill,
            PositionSnapshot: self.world.account.adopt,
        }

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

    def skip(self, bar: Bar, n_bars: int) -> None:
        """Let `n_bars` bars pass that nobody needs to see, of which `bar` is the last."""
        self.world.ts_ns = bar.ts_ns
        self.world.mark_ticks[bar.instrument] = bar.close
        for _, context, _ in self._awake[bar.instrument]:
            context._n_bars += n_bars

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
                proposals = host.on_bar(context, view)
                if proposals is not None:
                    caused = [*(caused or ()), *self._stamp(host, bar.ts_ns, proposals)]
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
        self.world.fill(fill, self._instruments[fill.instrument])
        if not self._told_of_fills:
            return None
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
        text = f"{_place(host.strategy, callback, error)}: {type(error).__name__}: {_said(error)}"
        return [*kept, StrategySuspended(ts_ns=ts_ns, strategy_id=host.strategy_id, error=text)]

    # Fills in who, what and when; refuses what comes before the warm-up's end.
    def _stamp(self, host: HostedStrategy, ts_ns: int, proposals: Proposals) -> list[Message]:
        if isinstance(proposals, Target):
            return [self._identified(host, ts_ns, checked(proposals, ts_ns), _NO_NAMES)]
        every = proposals if isinstance(proposals, (list, tuple)) else (proposals,)
        plain = [checked(proposal, ts_ns) for proposal in every]
        check_names(plain)
        names = Names()
        return [self._identified(host, ts_ns, proposal, names) for proposal in plain]

    def _identified(
        self, host: HostedStrategy, ts_ns: int, proposal: CheckedProposal, names: Names
    ) -> Message:
        if isinstance(proposal, TimerSet):
            return replace(proposal, ts_ns=ts_ns, strategy_id=host.strategy_id, instrument=host.instrument)
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
        if isinstance(proposal, OrderIntent):
            ids = names.ids_of(proposal, intent_id)
        return replace(
            proposal,
            ts_ns=ts_ns,
            instrument=host.instrument,
            account_id=self._account_id,
            strategy_id=host.strategy_id,
            **ids,
        )


def _check_rows(said: object, n: int, strategy_id: str) -> None:
    if isinstance(said, np.ndarray):
        if said.dtype == np.bool_ and said.shape == (n,):
            return
        kind = f"{said.dtype} of shape {said.shape}"
    else:
        kind = type(said).__name__
    raise StrategyError(
        f"wakes() of {strategy_id} must return one bool per row, shape ({n},), was {kind}", _WAKES_HINT
    )


def _owners(hosted: Sequence[HostedStrategy], strategy_id: str, instrument: int) -> list[HostedStrategy]:
    return [
        host
        for host in hosted
        if host.strategy_id == strategy_id and (instrument < 0 or host.instrument == instrument)
    ]


# One line, and without addresses: they differ from run to run, a journal does not.
def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        return "an error that can not say itself"
    return _ADDRESS.sub("0x", " ".join(text.split()))


# File and line in the strategy's own file, not in what it called; the name only, nothing of the machine.
def _place(strategy: Strategy, callback: str, error: BaseException) -> str:
    code = getattr(getattr(type(strategy), callback, None), "__code__", None)
    if code is None:
        return type(strategy).__name__
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
    line = own[-1].lineno if own else code.co_firstlineno
    return f"{code.co_filename.rpartition('/')[2]}:{line}"
