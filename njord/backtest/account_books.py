"""Who earned what? The recorder's fills and funding come in, in the order they were booked; contributions by strategy and
symbol, round trips and open lots go out, proven to be the account's profit to the last digit.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from njord.backtest.recorder import RecordedFill, RecordedOrder, Recorder
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import EXACT
from njord.performance.contribution import AccountFill, Contribution, ContributionBook, agree, in_all
from njord.performance.trades import OpenLot, RoundTrip, RoundTripBook
from njord.system import SystemSpec


class AccountBooks(msgspec.Struct, frozen=True):
    """The account's fills taken apart.

    Attributes:
        fills: Of the strategies' own: a liquidation stands as the parts that closed each one's holding.
        pairs: The contribution of each pair of strategy and instrument.
        trips: Closed round trips with their strategy, in the order they were closed.
        lots: What is still held, with its strategy.
    """

    fills: list[AccountFill]
    pairs: list[Contribution]
    trips: list[tuple[str, RoundTrip]]
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
    fills: list[AccountFill] = []
    trips: list[tuple[str, RoundTrip]] = []
    funding = iter(recorder.funding)
    payment = next(funding, None)
    for n_before, recorded in enumerate([*recorder.fills, None]):
        while payment is not None and payment.n_fills == n_before:
            book.pay(payment.event.instrument, payment.event.amount)
            payment = next(funding, None)
        if recorded is None:
            break
        instrument = spec.instruments[recorded.instrument]
        parts = book.apply(_account_fill(recorded, instrument, recorder.orders[recorded.order_no - 1]))
        for part in parts:
            key = (part.strategy_id, part.instrument)
            trader = trades.get(key)
            if trader is None:
                trader = trades[key] = RoundTripBook(instrument.money_scale)
            trips += [(part.strategy_id, trip) for trip in trader.apply(part.as_trade(part.instrument))]
        fills += parts
    lots = [(strategy_id, lot) for (strategy_id, _), trader in trades.items() for lot in trader.open_lots()]
    books = AccountBooks(fills, book.contributions(marks), trips, lots)
    agree(books.pairs, profit)
    _agree(books, marks, profit)
    return books


def _account_fill(fill: RecordedFill, instrument: Instrument, order: RecordedOrder) -> AccountFill:
    in_kind = fill.fee_asset == instrument.base and instrument.kind is InstrumentKind.SPOT
    if fill.fee and not in_kind and fill.fee_asset != instrument.quote:
        raise InvariantError(f"a fee in {fill.fee_asset} on {instrument.symbol} can not be attributed")
    return AccountFill(
        ts_ns=fill.ts_venue_ns,
        strategy_id=order.strategy_id,
        instrument=fill.instrument,
        side=fill.side,
        price=instrument.price(fill.price_ticks),
        qty=instrument.qty(fill.qty_lots),
        fee=fill.fee,
        fee_in_base=in_kind,
        is_maker=fill.is_maker,
    )


# Two independent ways to the same profit: the ledger's average cost and the round trips' first in first out.
def _agree(books: AccountBooks, marks: Sequence[Decimal], profit: Decimal) -> None:
    total = in_all(books.pairs).funding
    for _, trip in books.trips:
        total = EXACT.add(total, trip.pnl)
    for _, lot in books.lots:
        total = EXACT.add(total, lot.unrealized_pnl(marks[lot.instrument]))
    if total != profit:
        raise InvariantError(f"the ledger's profit is {profit}, round trips and open lots add up to {total}")
