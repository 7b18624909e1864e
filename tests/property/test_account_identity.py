"""Money is conserved in an account of any kind, whatever is traded, charged in whatever asset, or paid as funding."""

from decimal import Decimal
from fractions import Fraction
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from njord.core.account import Books
from njord.core.accounts import AccountTerms, make_account
from njord.core.contracts import FillEvent, FundingEvent, PositionSnapshot
from njord.core.types import InstrumentKind, Side
from tests.property.strategies import fill_event, funding_event, instrument

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
FUNDINGS = st.builds(
    funding_event, st.decimals("-5", "5", places=8, allow_nan=False).map(str), instrument=st.just(2)
)
EVENTS = st.tuples(FILLS, st.lists(FUNDINGS, max_size=5)).flatmap(
    lambda both: st.permutations([*both[0], *both[1]])
)
TERMS = (
    AccountTerms(),
    AccountTerms(kind="margin", leverage=Decimal(3)),
    AccountTerms(kind="perpetual"),
    AccountTerms(kind="perpetual", leverage=Decimal(7)),
)
MARKS = st.lists(st.integers(1, 10**12), min_size=3, max_size=3)


class Oracle:
    """What each asset's balance must be, and what all fees were worth when they were paid."""

    def __init__(self) -> None:
        self.cash = Fraction(CAPITAL)
        self.held = [Fraction(0)] * 3
        self.owed = dict.fromkeys(ASSETS, Fraction(0))
        self.fees = Fraction(0)
        self.funding = Fraction(0)

    def pay(self, event: FundingEvent) -> None:
        """Receive funding."""
        self.cash += Fraction(event.amount)
        self.funding += Fraction(event.amount)

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


def new_account(terms: AccountTerms = TERMS[0]) -> Books:
    return make_account(terms, INSTRUMENTS, "USDT", CAPITAL)


def book(account: Books, event: FillEvent | FundingEvent, marks: list[int]) -> tuple[PositionSnapshot, ...]:
    if isinstance(event, FundingEvent):
        return account.apply_funding(event, marks)
    return account.apply_fill(event, marks)


@given(st.sampled_from(TERMS), EVENTS, MARKS)
def test_equity_is_capital_plus_profit_minus_fees_plus_funding_to_the_last_unit(
    terms: AccountTerms, events: list[FillEvent | FundingEvent], marks: list[int]
) -> None:
    account, oracle = new_account(terms), Oracle()
    for event in events:
        book(account, event, marks)
        if isinstance(event, FundingEvent):
            oracle.pay(event)
        else:
            oracle.book(event, marks)
        account.check()
        expected = oracle.equity(marks)
        equity = account.equity(marks)
        assert (equity is None) == (expected is None)
        assert equity is None or Fraction(equity) == expected
        assert Fraction(account.fees) == oracle.fees
        assert Fraction(account.funding) == oracle.funding
        if terms.kind != "perpetual":
            assert Fraction(account.cash) == oracle.cash
        unrealized = sum(
            Fraction(account.position(index).unrealized_pnl(traded.price(marks[index])))
            for index, traded in enumerate(INSTRUMENTS)
        )
        profit = Fraction(account.realized_pnl) + unrealized - Fraction(account.fees) + oracle.funding
        assert expected is None or Fraction(CAPITAL) + profit == expected


@given(FILLS, st.lists(MARKS, min_size=1, max_size=4))
def test_at_1x_a_perpetual_account_is_worth_what_a_spot_account_is_whatever_was_traded_at_any_marks(
    fills: list[FillEvent], all_marks: list[list[int]]
) -> None:
    spot, perpetual = new_account(), new_account(AccountTerms(kind="perpetual"))
    for fill in fills:
        for account in (spot, perpetual):
            account.apply_fill(fill, all_marks[0])
        for marks in all_marks:
            assert perpetual.equity(marks) == spot.equity(marks)
            assert perpetual.free_margin(marks) == spot.free_margin(marks)
            assert perpetual.gross(marks) == spot.gross(marks)
        assert [perpetual.position(index) for index in range(3)] == [
            spot.position(index) for index in range(3)
        ]


@given(st.sampled_from(TERMS), EVENTS, MARKS)
def test_a_mirror_that_adopts_the_snapshots_says_what_the_ledger_says(
    terms: AccountTerms, events: list[FillEvent | FundingEvent], marks: list[int]
) -> None:
    account, mirror = new_account(terms), new_account(terms)
    for event in events:
        for snapshot in book(account, event, marks):
            mirror.adopt(snapshot)
    assert mirror.equity(marks) == account.equity(marks)
    assert mirror.free_margin(marks) == account.free_margin(marks)
    assert mirror.gross(marks) == account.gross(marks)
    assert mirror.balances() == account.balances()
    assert (mirror.fees, mirror.funding) == (account.fees, account.funding)
    assert [mirror.position(i) for i in range(3)] == [account.position(i) for i in range(3)]


@given(st.sampled_from(TERMS), FILLS, MARKS)
def test_free_margin_is_equity_minus_the_worth_of_all_positions_by_their_leverage(
    terms: AccountTerms, fills: list[FillEvent], marks: list[int]
) -> None:
    account = new_account(terms)
    for fill in fills:
        account.apply_fill(fill, marks)
    equity, free = account.equity(marks), account.free_margin(marks)
    if equity is None or free is None:
        assert equity is None
        return
    bound = sum(
        abs(Fraction(account.position(index).qty) * Fraction(traded.tick_size) * marks[index])
        / Fraction(account.leverage(index))
        for index, traded in enumerate(INSTRUMENTS)
    )
    least = Fraction(equity) - bound
    assert least - 3 * Fraction(1, 10**18) < Fraction(free) <= least


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
