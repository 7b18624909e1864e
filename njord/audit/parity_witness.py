"""What did one side of a comparison want, trade and earn? Its messages in, in order; decisions, fills and an account out.

A session's witness hears its journal, a backtest's stands in place of one: it is what the engine writes to. Prices are
kept as they became known, so that what an instrument cost can be asked for any moment.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from njord.core.accounts import make_account
from njord.core.contracts import (
    VENUE,
    AmendIntent,
    Bar,
    BookEvent,
    CancelIntent,
    FillEvent,
    FundingEvent,
    Message,
    OrderIntent,
    PositionSnapshot,
    Ref,
    TickerEvent,
    TradeEvent,
)
from njord.core.errors import InvariantError
from njord.core.types import BUY, InstrumentKind
from njord.core.units import EXACT, ZERO
from njord.system import SystemSpec

CANCEL: Final = "cancel"
AMEND: Final = "amend"
LIQUIDATION: Final = "liquidation"


class Decision(msgspec.Struct, frozen=True):
    """One intent, as far as two runs can agree on it; ids count intents, and so are no part of it.

    Attributes:
        wish: `buy market`, `sell limit`, ..., `cancel`, `amend`; or `liquidation sell`, which is the venue's.
        terms: Time in force, prices and flags.
    """

    ts_ns: int
    strategy_id: str
    instrument: int
    wish: str
    qty_lots: int
    terms: tuple[object, ...]
    intent_id: str

    @property
    def kind(self) -> tuple[str, int, str]:
        """Whose wish it is, for what."""
        return self.strategy_id, self.instrument, self.wish

    @property
    def all_of_it(self) -> tuple[object, ...]:
        """What is equal where two decisions are the same."""
        return (*self.kind, self.ts_ns, self.qty_lots, self.terms)


class Execution(msgspec.Struct, frozen=True):
    """One fill. `lots` are signed: bought > 0; `fee_qty` is what was paid in base, `fee` what was paid in quote."""

    ts_ns: int
    ts_venue_ns: int
    lots: int
    price_ticks: int
    is_maker: bool
    fee: Decimal = ZERO
    fee_qty: Decimal = ZERO


class Prices:
    """The prices of one instrument in the order in which they became known."""

    def __init__(self) -> None:
        self._ts_ns = array("q")
        self._ticks = array("q")

    def add(self, ts_ns: int, ticks: int) -> None:
        """Take the next price."""
        self._ts_ns.append(ts_ns)
        self._ticks.append(ticks)

    def at(self, ts_ns: int) -> int:
        """Return the last price known at `ts_ns`, in ticks; before all of them the first; 0 if there is none."""
        if not self._ticks:
            return 0
        return self._ticks[max(0, bisect_right(self._ts_ns, ts_ns) - 1)]


class Enough(Exception):
    """All that is compared was heard; it ends a run, and never leaves this package."""


class Witness:
    """Hears one side's messages; also a journal that keeps only what is compared.

    Args:
        spec: What decides on this side.

    Attributes:
        marks: The price that each instrument is valued at, in ticks; 0 = none is known.
        n_rows: How many messages of the market came.
        fills: By intent.
    """

    def __init__(self, spec: SystemSpec) -> None:
        self.instruments = spec.instruments
        self.report_asset = spec.report_asset
        self._capital = spec.capital
        self._account = make_account(spec.account, spec.instruments, spec.report_asset, spec.capital)
        self.marks = [0] * len(spec.instruments)
        self.prices = [Prices() for _ in spec.instruments]
        self.n_rows = 0
        self.last_ns = 0
        self.decisions: list[Decision] = []
        self.fills: dict[str, list[Execution]] = {}
        self.funding: list[FundingEvent] = []
        self._n_left: int | None = None
        self._n_from_row: int | None = None
        self._hear: dict[type[Message], Callable[[Any], None]] = {
            Bar: self._bar,
            TradeEvent: self._trade,
            BookEvent: self._book,
            TickerEvent: self._row,
            OrderIntent: self._order,
            CancelIntent: self._cancel,
            AmendIntent: self._amend,
            FillEvent: self._fill,
            FundingEvent: self.funding.append,
            PositionSnapshot: self._account.adopt,
        }

    def append(self, message: Message) -> None:
        """Hear the next message.

        Raises:
            Enough: All that is compared was heard.
        """
        if self._n_left is not None and type(message) is not Ref:
            if not self._n_left:
                raise Enough
            self._n_left -= 1
        hear = self._hear.get(type(message))
        if hear is not None:
            hear(message)

    def end_with(self, n_messages: int | None, *, at_row: bool) -> None:
        """Hear so many messages more, Refs not counted, and then raise `Enough`.

        Args:
            n_messages: None = no end.
            at_row: They count from the next message of the market on, which is the first of them.
        """
        if at_row:
            self._n_from_row = n_messages
        else:
            self._n_left = n_messages

    @property
    def profit(self) -> Decimal:
        """What the account has gained, positions at the last prices, in the report asset, exact.

        Raises:
            InvariantError: A position has no price.
        """
        equity = self._account.equity(self.marks)
        if equity is None:
            raise InvariantError("a position or a fee can not be valued: no price for it is known")
        return EXACT.subtract(equity, self._capital)

    @property
    def n_fills(self) -> int:
        """How many fills there were."""
        return sum(map(len, self.fills.values()))

    # --- the market ---

    def _row(self, message: Message) -> None:
        if self._n_from_row is not None:
            if not self._n_from_row:
                raise Enough
            self._n_left, self._n_from_row = self._n_from_row - 1, None
        self.n_rows += 1
        self.last_ns = message.ts_ns

    def _bar(self, bar: Bar) -> None:
        self._row(bar)
        self._price(bar.instrument, bar.ts_ns, bar.close)

    def _trade(self, trade: TradeEvent) -> None:
        self._row(trade)
        self._price(trade.instrument, trade.ts_ns, trade.price_ticks)

    # As the gate sees it: before the first trade the middle of a snapshot is the only price there is.
    def _book(self, book: BookEvent) -> None:
        self._row(book)
        if book.is_snapshot and book.bids and book.asks and not self.marks[book.instrument]:
            bid, ask = max(level[0] for level in book.bids), min(level[0] for level in book.asks)
            self._price(book.instrument, book.ts_ns, (bid + ask) // 2)

    def _price(self, instrument: int, ts_ns: int, ticks: int) -> None:
        self.marks[instrument] = ticks
        self.prices[instrument].add(ts_ns, ticks)

    # --- what was decided ---

    def _order(self, intent: OrderIntent) -> None:
        terms = (
            intent.tif,
            intent.limit_price_ticks,
            intent.trigger_price_ticks,
            intent.trail_ticks,
            intent.expire_ns,
            intent.reduce_only,
            intent.post_only,
            bool(intent.group_id),
            bool(intent.after_intent_id),
        )
        self._decide(intent, f"{intent.side} {intent.type}", intent.qty_lots, terms)

    def _cancel(self, intent: CancelIntent) -> None:
        self._decide(intent, CANCEL, 0, ())

    def _amend(self, intent: AmendIntent) -> None:
        terms = (intent.limit_price_ticks, intent.trigger_price_ticks)
        self._decide(intent, AMEND, intent.qty_lots, terms)

    def _decide(
        self,
        intent: OrderIntent | CancelIntent | AmendIntent,
        wish: str,
        qty_lots: int,
        terms: tuple[object, ...],
    ) -> None:
        self.decisions.append(
            Decision(
                intent.ts_ns, intent.strategy_id, intent.instrument, wish, qty_lots, terms, intent.intent_id
            )
        )

    # --- what became of it ---

    def _fill(self, fill: FillEvent) -> None:
        intent_id = self._liquidated(fill) if fill.strategy_id == VENUE else fill.intent_id
        instrument = self.instruments[fill.instrument]
        in_kind = fill.fee_asset == instrument.base and instrument.kind is InstrumentKind.SPOT
        if fill.fee and not in_kind and fill.fee_asset != instrument.quote:
            raise InvariantError(f"a fee in {fill.fee_asset} on {instrument.symbol} can not be attributed")
        self.fills.setdefault(intent_id, []).append(
            Execution(
                fill.ts_ns,
                fill.ts_venue_ns,
                fill.qty_lots if fill.side is BUY else -fill.qty_lots,
                fill.price_ticks,
                fill.is_maker,
                ZERO if in_kind else fill.fee,
                fill.fee if in_kind else ZERO,
            )
        )

    # Nobody has decided it: the venue's own trade stands as a decision of the venue.
    def _liquidated(self, fill: FillEvent) -> str:
        intent_id = fill.venue_trade_id
        wish = f"{LIQUIDATION} {fill.side}"
        self.decisions.append(
            Decision(fill.ts_venue_ns, VENUE, fill.instrument, wish, fill.qty_lots, (), intent_id)
        )
        return intent_id
