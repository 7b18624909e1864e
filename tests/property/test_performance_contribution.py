"""Contributions: whatever happened, they add up to the account's profit, computed here with fractions and cash alone."""

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from njord.core.contracts import VENUE
from njord.core.types import Side
from njord.performance.contribution import (
    AccountFill,
    Contribution,
    ContributionBook,
    by_instrument,
    by_strategy,
    in_all,
)
from njord.performance.trades import RoundTripBook

STRATEGIES = ("a", "b", "c")
N_INSTRUMENTS = 2
MARKS = [Decimal("101.7"), Decimal("0.0503")]
PAIRS = [(strategy, index) for strategy in STRATEGIES for index in range(N_INSTRUMENTS)]


@st.composite
def fills(draw: st.DrawFn) -> AccountFill:
    qty = Decimal(draw(st.integers(1, 10_000))).scaleb(-3)
    in_kind = draw(st.booleans())
    fee = Decimal(draw(st.integers(-50, 400))).scaleb(-8)
    return AccountFill(
        ts_ns=draw(st.integers(0, 10**9)),
        strategy_id=draw(st.sampled_from(STRATEGIES)),
        instrument=draw(st.integers(0, N_INSTRUMENTS - 1)),
        side=draw(st.sampled_from(Side)),
        price=Decimal(draw(st.integers(1, 10**6))).scaleb(-4),
        qty=qty,
        fee=fee,
        fee_in_base=in_kind,
        is_maker=draw(st.booleans()),
    )


# What happens: a fill, a funding payment (instrument, amount), or a liquidation (instrument, price, fee).
EVENTS = st.lists(
    st.one_of(
        fills(),
        st.tuples(st.integers(0, 1), st.integers(-(10**9), 10**9)),
        st.tuples(st.integers(0, 1), st.integers(1, 10**6), st.integers(0, 10**6)),
    ),
    max_size=40,
)


class Oracle:
    """The account as cash, quantities and marks: no positions, no average cost, no strategies."""

    def __init__(self) -> None:
        self.cash = Fraction(0)
        self.fees = Fraction(0)
        self.held = [Fraction(0)] * N_INSTRUMENTS

    def trade(self, index: int, signed: Fraction, price: Fraction, fee: Fraction, in_kind: bool) -> None:
        self.held[index] += signed
        self.cash -= signed * price
        if in_kind:
            self.held[index] -= fee
            self.fees += fee * price
        else:
            self.cash -= fee
            self.fees += fee

    def profit(self) -> Fraction:
        return self.cash + sum(
            (qty * Fraction(mark) for qty, mark in zip(self.held, MARKS, strict=True)), Fraction(0)
        )


def play(events: list[object]) -> tuple[ContributionBook, Oracle, list[AccountFill]]:
    book, oracle = ContributionBook(PAIRS, [8, 8]), Oracle()
    parts: list[AccountFill] = []
    for event in events:
        if isinstance(event, AccountFill):
            parts += book.apply(event)
            signed = Fraction(event.qty) * event.side.sign
            oracle.trade(
                event.instrument, signed, Fraction(event.price), Fraction(event.fee), event.fee_in_base
            )
            continue
        assert isinstance(event, tuple)
        index = event[0]
        rows = book.contributions(MARKS)
        holders = {
            r.strategy_id for r in rows if r.instrument == index and held_of(parts, str(r.strategy_id), index)
        }
        if len(event) == 2 and holders:
            book.pay(index, Decimal(event[1]).scaleb(-8))
            oracle.cash += Fraction(event[1], 10**8)
        elif len(event) == 3 and holders and oracle.held[index]:
            closed = -oracle.held[index]
            price, fee = Decimal(event[1]).scaleb(-4), Decimal(event[2]).scaleb(-8)
            liquidation = AccountFill(
                ts_ns=0,
                strategy_id=VENUE,
                instrument=index,
                side=Side.BUY if closed > 0 else Side.SELL,
                price=price,
                qty=decimal(abs(closed)),
                fee=fee,
            )
            shared = book.apply(liquidation)
            assert {part.strategy_id for part in shared} == holders
            assert sum((Fraction(part.fee) for part in shared), Fraction(0)) == Fraction(fee)
            parts += shared
            oracle.trade(index, closed, Fraction(price), Fraction(fee), False)
            assert not any(held_of(parts, name, index) for name in STRATEGIES)
    return book, oracle, parts


def held_of(parts: list[AccountFill], strategy_id: str, index: int) -> Fraction:
    own = [part for part in parts if (part.strategy_id, part.instrument) == (strategy_id, index)]
    return sum(
        (Fraction(p.qty) * p.side.sign - (Fraction(p.fee) if p.fee_in_base else 0) for p in own), Fraction(0)
    )


def decimal(value: Fraction) -> Decimal:
    found = Decimal(value.numerator) / Decimal(value.denominator)
    assert Fraction(found) == value
    return found


@given(events=EVENTS)
def test_pairs_symbols_and_strategies_all_add_up_to_the_accounts_profit_to_the_last_digit(
    events: list[object],
) -> None:
    book, oracle, _ = play(events)
    pairs = book.contributions(MARKS)
    for table in (pairs, by_instrument(pairs), by_strategy(pairs)):
        assert sum((Fraction(row.pnl) for row in table), Fraction(0)) == oracle.profit()
        assert sum((Fraction(row.fees) for row in table), Fraction(0)) == oracle.fees
    for row in [*pairs, in_all(pairs)]:
        parts = row.realized_pnl, row.unrealized_pnl, -row.fees, row.funding
        assert sum(map(Fraction, parts), Fraction(0)) == Fraction(row.pnl)


@given(events=EVENTS)
def test_round_trips_of_each_strategys_own_fills_add_up_to_the_same(events: list[object]) -> None:
    book, oracle, parts = play(events)
    total = Fraction(in_all(book.contributions(MARKS)).funding)
    for strategy_id, index in PAIRS:
        trades = RoundTripBook()
        for part in parts:
            if (part.strategy_id, part.instrument) == (strategy_id, index):
                total += sum((Fraction(trip.pnl) for trip in trades.apply(part.as_trade(index))), Fraction(0))
        total += sum((Fraction(lot.unrealized_pnl(MARKS[index])) for lot in trades.open_lots()), Fraction(0))
    assert total == oracle.profit()


def labeled(all_fills: list[AccountFill], names: tuple[str, ...]) -> Contribution:
    book = ContributionBook([], [8, 8])
    for number, fill in enumerate(all_fills):
        book.apply(msgspec.structs.replace(fill, strategy_id=names[number % len(names)]))
    return in_all(book.contributions(MARKS))


@given(all_fills=st.lists(fills(), min_size=1, max_size=30))
def test_the_same_fills_give_the_same_total_whoever_they_are_said_to_belong_to(
    all_fills: list[AccountFill],
) -> None:
    alone = labeled(all_fills, ("one",))
    shared = labeled(all_fills, ("one", "two"))
    assert (alone.pnl, alone.fees, alone.traded_notional, alone.n_fills) == (
        shared.pnl,
        shared.fees,
        shared.traded_notional,
        shared.n_fills,
    )


@given(all_fills=st.lists(fills(), min_size=1, max_size=20), amount=st.integers(-(10**9), 10**9))
def test_one_strategy_of_two_symbols_earns_what_two_strategies_of_a_symbol_each_earn(
    all_fills: list[AccountFill], amount: int
) -> None:
    quote_fees = [msgspec.structs.replace(fill, fee_in_base=False) for fill in all_fills]
    both = ContributionBook([("both", 0), ("both", 1)], [8, 8])
    each = ContributionBook([("first", 0), ("second", 1)], [8, 8])
    for fill in quote_fees:
        both.apply(msgspec.structs.replace(fill, strategy_id="both"))
        each.apply(msgspec.structs.replace(fill, strategy_id=("first", "second")[fill.instrument]))
    if held_of([msgspec.structs.replace(fill, strategy_id="x") for fill in quote_fees], "x", 0):
        both.pay(0, Decimal(amount).scaleb(-8))
        each.pay(0, Decimal(amount).scaleb(-8))
    ours, theirs = both.contributions(MARKS), each.contributions(MARKS)
    assert [row.pnl for row in by_instrument(ours)] == [row.pnl for row in by_instrument(theirs)]
    assert in_all(ours) == in_all(theirs)
