"""Who earned what? The recorder's fills and funding come in, in the order they were booked; contributions by strategy and
symbol, round trips and open lots go out, proven to be the account's profit to the last digit.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain

import msgspec

from njord.backtest.recorded_fills import RecordedFill
from njord.backtest.recorder import Recorder
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import EXACT, ZERO
from njord.performance.contribution import AccountFill, Contribution, ContributionBook, agree, in_all
from njord.performance.trades import OpenLot, RoundTripBook
from njord.performance.trip_rows import TripRows
from njord.performance.turnover import MakerTaker, maker_taker
from njord.system import SystemSpec


class AccountBooks(msgspec.Struct, frozen=True):
    """The account's fills taken apart.

    Attributes:
        split: The strategies' own fills summed up: a liquidation counts as the parts that closed each one's holding.
        pairs: The contribution of each pair of strategy and instrument.
        trips: Closed round trips, in the order they were closed.
        lots: What is still held, with its strategy.
    """

    split: MakerTaker
    pairs: list[Contribution]
    trips: TripRows
    lots: list[tuple[str, OpenLot]]


def account_books(
    spec: SystemSpec, recorder: Recorder, marks: Sequence[Decimal], profit: Decimal
) -> AccountBooks:
    """Return the account's books, positions at `marks` (prices by instrument).

    Raises:
        InvariantError: Contributions or round trips do not add up to `profit`.
    """
    pairs = [(each.strategy_id, index) for each in spec.strategies for index, _ in each.objects]
    book = ContributionBook(pairs, [instrument.money_scale for instrument in spec.instruments])
    trades: dict[tuple[str, int], RoundTripBook] = {}
    trips, earned = TripRows(), ZERO

    def traded(part: AccountFill) -> AccountFill:
        nonlocal earned
        key = (part.strategy_id, part.instrument)
        trader = trades.get(key)
        if trader is None:
            trader = trades[key] = RoundTripBook(spec.instruments[part.instrument].money_scale)
        for trip in trader.apply(part.as_trade(part.instrument)):
            trips.add(part.strategy_id, trip)
            earned = EXACT.add(earned, trip.pnl)
        return part

    split = maker_taker(map(traded, _booked(spec, recorder, book)))
    lots = [(strategy_id, lot) for (strategy_id, _), trader in trades.items() for lot in trader.open_lots()]
    books = AccountBooks(split, book.contributions(marks), trips, lots)
    agree(books.pairs, profit)
    _agree(books, earned, marks, profit)
    return books


# The strategies' own fills, each when it is booked, and the funding between them.
def _booked(spec: SystemSpec, recorder: Recorder, book: ContributionBook) -> Iterator[AccountFill]:
    funding = deque(recorder.funding)
    for n_before, recorded in enumerate(chain(recorder.fills, (None,))):
        while funding and funding[0].n_fills == n_before:
            event = funding.popleft().event
            book.pay(event.instrument, event.amount)
        if recorded is None:
            return
        instrument = spec.instruments[recorded.instrument]
        strategy_id = recorder.orders.strategy_at(recorded.order_no - 1)
        yield from book.apply(_account_fill(recorded, instrument, strategy_id))


def _account_fill(fill: RecordedFill, instrument: Instrument, strategy_id: str) -> AccountFill:
    in_kind = fill.fee_asset == instrument.base and instrument.kind is InstrumentKind.SPOT
    if fill.fee and not in_kind and fill.fee_asset != instrument.quote:
        raise InvariantError(f"a fee in {fill.fee_asset} on {instrument.symbol} can not be attributed")
    return AccountFill(
        ts_ns=fill.ts_venue_ns,
        strategy_id=strategy_id,
        instrument=fill.instrument,
        side=fill.side,
        price=instrument.price(fill.price_ticks),
        qty=instrument.qty(fill.qty_lots),
        fee=fill.fee,
        fee_in_base=in_kind,
        is_maker=fill.is_maker,
    )


# Two independent ways to the same profit: the ledger's average cost and the round trips' first in first out.
def _agree(books: AccountBooks, earned: Decimal, marks: Sequence[Decimal], profit: Decimal) -> None:
    total = EXACT.add(in_all(books.pairs).funding, earned)
    for _, lot in books.lots:
        total = EXACT.add(total, lot.unrealized_pnl(marks[lot.instrument]))
    if total != profit:
        raise InvariantError(f"the ledger's profit is {profit}, round trips and open lots add up to {total}")
