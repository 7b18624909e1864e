"""Round trips by hand: FIFO, partial closes, reversals, fees to the last digit, and their statistics."""

import math
from decimal import Decimal

import pytest

from njord.core.types import Side
from njord.performance.trades import (
    OpenLot,
    RoundTrip,
    RoundTripBook,
    TradeFill,
    TradeStatistics,
    trade_statistics,
)


def fill(ts_ns: int, side: str, qty: str, price: str, fee: str = "0", instrument: int = 0) -> TradeFill:
    return TradeFill(ts_ns, instrument, Side(side), Decimal(price), Decimal(qty), Decimal(fee))


def book_of(*fills: TradeFill) -> tuple[list[RoundTrip], tuple[OpenLot, ...]]:
    book = RoundTripBook()
    trips = [trip for each in fills for trip in book.apply(each)]
    return trips, book.open_lots()


def stats_of(*fills: TradeFill) -> TradeStatistics:
    return trade_statistics(book_of(*fills)[0])


def test_two_lots_sold_below_their_cost_are_a_loss_of_thirty() -> None:
    # Pitfall W44: pairing only the last buy with the sell reported one win of 10.
    trips, open_lots = book_of(
        fill(1, "buy", "1", "100"), fill(2, "buy", "1", "50"), fill(3, "sell", "2", "60")
    )
    assert [trip.pnl for trip in trips] == [Decimal(-40), Decimal(10)]
    assert trade_statistics(trips).net_pnl == Decimal(-30)
    assert open_lots == ()


def test_a_round_trip_tells_its_whole_story() -> None:
    (trip,), _ = book_of(fill(10, "buy", "2", "100", "0.2"), fill(25, "sell", "2", "110", "0.22"))
    assert trip == RoundTrip(
        instrument=0,
        side=Side.BUY,
        ts_open_ns=10,
        ts_close_ns=25,
        qty=Decimal(2),
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        fees=Decimal("0.42"),
        pnl=Decimal("19.58"),
        return_fraction=0.0979,
        duration_ns=15,
    )


def test_a_short_earns_when_the_price_falls() -> None:
    (trip,), _ = book_of(fill(1, "sell", "3", "50", "0.1"), fill(2, "buy", "3", "40", "0.1"))
    assert trip.side is Side.SELL
    assert trip.pnl == Decimal("29.8")


def test_a_partial_close_leaves_the_rest_of_the_lot_with_the_rest_of_its_fee() -> None:
    (trip,), (lot,) = book_of(fill(1, "buy", "3", "100", "0.3"), fill(2, "sell", "1", "120", "0.12"))
    assert trip.fees == Decimal("0.22")
    assert trip.pnl == Decimal("19.78")
    assert lot == OpenLot(
        instrument=0,
        side=Side.BUY,
        ts_open_ns=1,
        qty=Decimal(2),
        entry_price=Decimal(100),
        fees=Decimal("0.2"),
    )
    assert lot.unrealized_pnl(Decimal(90)) == Decimal("-20.2")


def test_the_part_of_an_open_short_is_marked_against_the_price() -> None:
    _, (lot,) = book_of(fill(1, "sell", "2", "100", "0.5"))
    assert lot.unrealized_pnl(Decimal(90)) == Decimal("19.5")


def test_a_fill_through_zero_closes_one_side_and_opens_the_other() -> None:
    (trip,), (lot,) = book_of(fill(1, "buy", "1", "100", "0.1"), fill(2, "sell", "3", "90", "0.3"))
    assert trip.pnl == Decimal("-10.2")
    assert (lot.side, lot.qty, lot.entry_price, lot.fees, lot.ts_open_ns) == (
        Side.SELL,
        Decimal(2),
        Decimal(90),
        Decimal("0.2"),
        2,
    )


def test_what_does_not_divide_goes_to_the_last_part_and_the_fees_sum_exactly() -> None:
    trips, open_lots = book_of(
        fill(1, "buy", "3", "100", "0.1"),
        *(fill(2 + n, "sell", "1", "100") for n in range(3)),
    )
    assert [trip.fees for trip in trips] == [
        Decimal("0.03333333"),
        Decimal("0.03333333"),
        Decimal("0.03333334"),
    ]
    assert open_lots == ()


def test_an_exit_fee_is_split_over_the_lots_it_closes() -> None:
    trips, _ = book_of(
        *(fill(n, "buy", "1", "100") for n in range(3)),
        fill(9, "sell", "3", "100", "-0.1"),
    )
    # A rebate is rounded toward zero too, the remainder goes to the last part.
    assert [trip.fees for trip in trips] == [
        Decimal("-0.03333333"),
        Decimal("-0.03333333"),
        Decimal("-0.03333334"),
    ]


def test_lots_are_closed_oldest_first() -> None:
    trips, open_lots = book_of(
        fill(1, "buy", "1", "10"),
        fill(2, "buy", "2", "20"),
        fill(3, "buy", "1", "30"),
        fill(4, "sell", "2", "40"),
    )
    assert [(trip.ts_open_ns, int(trip.qty)) for trip in trips] == [(1, 1), (2, 1)]
    assert [(lot.ts_open_ns, int(lot.qty)) for lot in open_lots] == [(2, 1), (3, 1)]


def test_instruments_never_close_each_other() -> None:
    trips, open_lots = book_of(
        fill(1, "buy", "1", "10", instrument=7), fill(2, "sell", "1", "20", instrument=3)
    )
    assert trips == []
    assert [(lot.instrument, lot.side) for lot in open_lots] == [(3, Side.SELL), (7, Side.BUY)]


@pytest.mark.parametrize(
    ("qty", "price", "fee", "named"),
    [
        ("0", "1", "0", "qty"),
        ("-1", "1", "0", "qty"),
        ("1", "0", "0", "price"),
        ("1", "NaN", "0", "price"),
        ("1", "1", "NaN", "fee"),
    ],
)
def test_a_fill_that_can_not_be_is_refused(qty: str, price: str, fee: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"a fill's {named} must be"):
        fill(1, "buy", qty, price, fee)


def test_statistics_of_wins_and_losses() -> None:
    stats = stats_of(
        *(fill(0, "buy", "1", "100") for _ in range(4)),
        fill(10, "sell", "1", "110"),
        fill(20, "sell", "1", "130"),
        fill(30, "sell", "1", "80"),
        fill(40, "sell", "1", "100"),
    )
    assert (stats.n_trades, stats.n_wins, stats.n_losses) == (4, 2, 1)
    assert (stats.gross_profit, stats.gross_loss, stats.net_pnl) == (Decimal(40), Decimal(20), Decimal(20))
    assert stats.win_rate == 0.5
    assert stats.profit_factor == 2.0
    assert (stats.avg_win, stats.avg_loss) == (20.0, -20.0)
    assert (stats.largest_win, stats.largest_loss) == (30.0, -20.0)
    assert stats.expectancy == 5.0
    assert stats.avg_return == pytest.approx(0.05)
    assert stats.avg_duration_ns == 25.0


def test_fees_decide_whether_a_trade_won() -> None:
    stats = stats_of(fill(1, "buy", "1", "100", "0.6"), fill(2, "sell", "1", "101", "0.6"))
    assert (stats.n_wins, stats.n_losses) == (0, 1)
    assert stats.net_pnl == Decimal("-0.2")


def test_all_winning_trades_have_an_infinite_profit_factor() -> None:
    # Acceptance T35.
    stats = stats_of(fill(1, "buy", "1", "100"), fill(2, "sell", "1", "101"))
    assert stats.profit_factor == math.inf
    assert stats.win_rate == 1.0
    assert math.isnan(stats.avg_loss)
    assert math.isnan(stats.largest_loss)


def test_all_losing_trades_have_a_profit_factor_of_zero() -> None:
    stats = stats_of(fill(1, "buy", "1", "100"), fill(2, "sell", "1", "99"))
    assert stats.profit_factor == 0.0
    assert stats.win_rate == 0.0
    assert math.isnan(stats.avg_win)


def test_trades_that_neither_won_nor_lost_have_no_profit_factor() -> None:
    stats = stats_of(fill(1, "buy", "1", "100"), fill(2, "sell", "1", "100"))
    assert math.isnan(stats.profit_factor)
    assert (stats.n_trades, stats.win_rate, stats.expectancy) == (1, 0.0, 0.0)


def test_without_trades_nothing_is_defined_but_the_counts_and_sums() -> None:
    stats = trade_statistics([])
    assert stats.n_trades == stats.net_pnl == stats.gross_profit == stats.gross_loss == 0
    undefined = (
        stats.win_rate,
        stats.profit_factor,
        stats.avg_win,
        stats.avg_loss,
        stats.largest_win,
        stats.largest_loss,
        stats.expectancy,
        stats.avg_return,
        stats.avg_duration_ns,
    )
    assert all(math.isnan(value) for value in undefined)
