"""Money is conserved in an account, whatever is traded and in whatever asset a fee is charged."""

from decimal import Decimal
from fractions import Fraction
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from njord.core.account import SpotAccount
from njord.core.contracts import FillEvent
from njord.core.types import InstrumentKind, Side
from tests.property.strategies import fill_event, instrument

INSTRUMENTS = (
    instrument("BTC/USDT", tick_size=Decimal("0.01"), lot_size=Decimal("1e-8")),
    instrument("BNB/USDT", tick_size=Decimal("1e-18"), lot_size=Decimal("1e-18")),
    instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal("0.5"), lot_size=Decimal("0.003")),
)
CAPITAL = Decimal("10000.12345678")
ASSETS = ("USDT", "BTC", "BNB", "ETH", "XYZ")
FILLS = st.lists(
    st.builds(
        fill_event,
        instrument=st.integers(0, 2),
        side=st.sampled_from(Side),
        price_ticks=st.integers(1, 10**15),
        qty_lots=st.integers(1, 10**19),
        fee=st.decimals("-1", "1", places=18, allow_nan=False),
        fee_asset=st.sampled_from(ASSETS),
    ),
    max_size=20,
)
MARKS = st.lists(st.integers(1, 10**12), min_size=3, max_size=3)


class Oracle:
    """What each asset's balance must be, and what all fees were worth when they were paid."""

    def __init__(self) -> None:
        self.cash = Fraction(CAPITAL)
        self.held = [Fraction(0)] * 3
        self.owed = dict.fromkeys(ASSETS, Fraction(0))
        self.fees = Fraction(0)

    def book(self, fill: FillEvent, marks: list[int]) -> None:
        """Book one fill."""
        traded = INSTRUMENTS[fill.instrument]
        price = Fraction(traded.tick_size) * fill.price_ticks
        qty = Fraction(traded.lot_size) * fill.qty_lots * fill.side.sign
        fee = Fraction(fill.fee)
        self.cash -= qty * price
        self.held[fill.instrument] += qty
        holder = {"BTC": 0, "BNB": 1}.get(fill.fee_asset)  # ETH is only a contract here: nothing to pay with.
        if fill.fee_asset == "USDT":
            self.cash -= fee
            self.fees += fee
        elif holder is not None:
            self.held[holder] -= fee
            worth = (
                price
                if holder == fill.instrument
                else Fraction(INSTRUMENTS[holder].tick_size) * marks[holder]
            )
            self.fees += fee * worth
        else:
            self.owed[fill.fee_asset] -= fee

    def equity(self, marks: list[int]) -> Fraction | None:
        """Cash plus holdings at the marks; None while something is owed that has no price."""
        if any(self.owed.values()):
            return None
        worth = [
            held * Fraction(traded.tick_size) * mark
            for held, traded, mark in zip(self.held, INSTRUMENTS, marks, strict=True)
        ]
        return self.cash + sum(worth)


def new_account() -> SpotAccount:
    return SpotAccount(INSTRUMENTS, "USDT", CAPITAL)


@given(FILLS, MARKS)
def test_cash_plus_positions_is_capital_plus_profit_minus_fees_to_the_last_unit(
    fills: list[FillEvent], marks: list[int]
) -> None:
    account, oracle = new_account(), Oracle()
    for fill in fills:
        account.apply_fill(fill, marks)
        oracle.book(fill, marks)
        account.check()
        expected = oracle.equity(marks)
        equity = account.equity(marks)
        assert (equity is None) == (expected is None)
        assert equity is None or Fraction(equity) == expected
        assert Fraction(account.fees) == oracle.fees
        assert Fraction(account.cash) == oracle.cash
        unrealized = sum(
            Fraction(account.position(index).unrealized_pnl(traded.price(marks[index])))
            for index, traded in enumerate(INSTRUMENTS)
        )
        profit = Fraction(account.realized_pnl) + unrealized - Fraction(account.fees)
        assert expected is None or Fraction(CAPITAL) + profit == expected


@given(FILLS, MARKS)
def test_a_mirror_that_adopts_the_snapshots_says_what_the_ledger_says(
    fills: list[FillEvent], marks: list[int]
) -> None:
    account, mirror = new_account(), new_account()
    for fill in fills:
        for snapshot in account.apply_fill(fill, marks):
            mirror.adopt(snapshot)
        assert mirror.equity(marks) == account.equity(marks)
        assert mirror.free_margin(marks) == account.free_margin(marks)
        assert mirror.gross(marks) == account.gross(marks)
        assert mirror.balances() == account.balances()
        assert mirror.fees == account.fees
        assert [mirror.position(i) for i in range(3)] == [account.position(i) for i in range(3)]


@given(FILLS, MARKS)
def test_free_margin_is_equity_minus_the_worth_of_all_positions(
    fills: list[FillEvent], marks: list[int]
) -> None:
    account = new_account()
    for fill in fills:
        account.apply_fill(fill, marks)
    equity, free = account.equity(marks), account.free_margin(marks)
    if equity is None or free is None:
        assert equity is None and free is None
        return
    gross = sum(
        abs(Fraction(account.position(index).qty) * Fraction(traded.tick_size) * marks[index])
        for index, traded in enumerate(INSTRUMENTS)
    )
    assert Fraction(free) == Fraction(equity) - gross


@given(st.permutations([Decimal("0.5"), Decimal("0.25"), Decimal("-0.75")]))
def test_equity_is_known_again_once_nothing_is_owed_in_an_asset_without_price(fees: list[Decimal]) -> None:
    account, mirror, numbers = new_account(), new_account(), count()
    marks = [100, 100, 100]
    for fee in fees:
        fill = fill_event(f"c{next(numbers)}", fee=fee, fee_asset="XYZ", price_ticks=1, qty_lots=1)
        for snapshot in account.apply_fill(fill, marks):
            mirror.adopt(snapshot)
        assert mirror.balances() == account.balances()
    assert account.equity(marks) is not None
    assert mirror.equity(marks) == account.equity(marks)
