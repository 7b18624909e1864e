"""Round trips lose nothing: against an oracle over fractions that pairs the smallest units one by one."""

from collections import defaultdict, deque
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from njord.core.types import Side
from njord.performance.trades import RoundTrip, RoundTripBook, TradeFill, trade_statistics

FILLS = st.lists(
    st.builds(
        TradeFill,
        ts_ns=st.integers(0, 2**62),
        instrument=st.integers(0, 2),
        side=st.sampled_from(Side),
        price=st.integers(1, 10**9).map(lambda ticks: Decimal(ticks).scaleb(-5)),
        qty=st.integers(1, 12).map(lambda lots: Decimal(lots).scaleb(-8)),
        fee=st.integers(-(10**6), 10**9).map(lambda units: Decimal(units).scaleb(-10)),
    ),
    max_size=40,
)
LOT = Decimal("1e-8")


@given(FILLS, st.integers(1, 10**9))
def test_round_trips_and_open_lots_sum_to_the_total_pnl_exactly(
    fills: list[TradeFill], mark_ticks: int
) -> None:
    mark = Decimal(mark_ticks).scaleb(-5)
    total = Fraction(0)
    position: dict[int, Fraction] = defaultdict(Fraction)
    book = RoundTripBook()
    trips: list[RoundTrip] = []
    for fill in fills:
        trips += book.apply(fill)
        position[fill.instrument] += fill.side.sign * Fraction(fill.qty)
        total -= fill.side.sign * Fraction(fill.price) * Fraction(fill.qty) + Fraction(fill.fee)
    total += sum(position.values(), Fraction(0)) * Fraction(mark)
    lots = book.open_lots()
    realized = sum((Fraction(trip.pnl) for trip in trips), Fraction(0))
    unrealized = sum((Fraction(lot.unrealized_pnl(mark)) for lot in lots), Fraction(0))
    assert realized + unrealized == total
    assert Fraction(trade_statistics(trips).net_pnl) == realized

    fees = sum((Fraction(trip.fees) for trip in trips), Fraction(0)) + sum(
        (Fraction(lot.fees) for lot in lots), Fraction(0)
    )
    assert fees == sum((Fraction(fill.fee) for fill in fills), Fraction(0))
    held: dict[int, Fraction] = defaultdict(Fraction)
    for lot in lots:
        held[lot.instrument] += lot.side.sign * Fraction(lot.qty)
    assert {key: value for key, value in position.items() if value} == held


@given(FILLS)
def test_pairs_are_those_of_a_queue_of_single_lots(fills: list[TradeFill]) -> None:
    queues: dict[int, deque[tuple[int, Side]]] = defaultdict(deque)
    expected: dict[tuple[int, int], int] = defaultdict(int)
    for index, fill in enumerate(fills):
        queue = queues[fill.instrument]
        for _ in range(int(fill.qty / LOT)):
            if queue and queue[0][1] is not fill.side:
                expected[queue.popleft()[0], index] += 1
            else:
                queue.append((index, fill.side))

    book = RoundTripBook()
    numbered = [
        TradeFill(index, fill.instrument, fill.side, fill.price, fill.qty, fill.fee)
        for index, fill in enumerate(fills)
    ]
    trips = [trip for fill in numbered for trip in book.apply(fill)]
    assert {(trip.ts_open_ns, trip.ts_close_ns): int(trip.qty / LOT) for trip in trips} == expected
    for trip in trips:
        assert (trip.entry_price, trip.exit_price) == (
            fills[trip.ts_open_ns].price,
            fills[trip.ts_close_ns].price,
        )
        gain = trip.side.sign * (Fraction(trip.exit_price) - Fraction(trip.entry_price)) * Fraction(trip.qty)
        assert Fraction(trip.pnl) == gain - Fraction(trip.fees)
        assert trip.duration_ns == trip.ts_close_ns - trip.ts_open_ns


@given(FILLS)
def test_a_part_of_a_fee_is_its_share_of_the_quantity_but_for_rounding(fills: list[TradeFill]) -> None:
    book = RoundTripBook()
    for index, fill in enumerate(fills):
        share = {
            number: Fraction(each.fee) / Fraction(each.qty) for number, each in enumerate(fills[: index + 1])
        }
        for trip in book.apply(TradeFill(index, fill.instrument, fill.side, fill.price, fill.qty, fill.fee)):
            fair = (share[trip.ts_open_ns] + share[trip.ts_close_ns]) * Fraction(trip.qty)
            # Every split before may have left up to one unit of rounding to those after it.
            assert abs(Fraction(trip.fees) - fair) <= 2 * 12 * Fraction(LOT)
