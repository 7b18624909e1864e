"""Accounts of all kinds by hand: what cash, equity and margin are, and what may be borrowed."""

from decimal import Decimal

import pytest

from njord.core.account import SpotAccount, margin
from njord.core.accounts import AccountTerms, make_account
from njord.core.errors import ConfigError, InvariantError
from njord.core.perp_account import LinearPerpAccount
from njord.core.types import InstrumentKind, Side
from tests.property.strategies import fill_event, funding_event, instrument

SPOT = instrument("ETH/USDT", tick_size=Decimal(1), lot_size=Decimal("0.1"))
PERP = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))
TRADED = (PERP, SPOT)


def perpetual(leverage: int = 5) -> LinearPerpAccount:
    return LinearPerpAccount(TRADED, "USDT", Decimal(1000), Decimal(leverage))


def test_a_contract_moves_cash_by_its_profit_its_fees_and_its_funding_only() -> None:
    books = perpetual()
    books.apply_fill(fill_event(price_ticks=100, qty_lots=20, fee=Decimal(1)), [100, 0])
    assert books.cash == 999
    books.apply_fill(fill_event(price_ticks=110, qty_lots=5, side=Side.SELL), [110, 0])
    assert books.cash == 999 + Decimal("0.5") * 10
    (snapshot,) = books.apply_funding(funding_event("-2"), [110, 0])
    assert [books.cash, books.funding, snapshot.funding, snapshot.cash] == [1002, -2, -2, 1002]
    books.check()


def test_equity_is_cash_plus_unrealized_profit_and_margin_the_worth_by_the_leverage() -> None:
    books = perpetual()
    books.apply_fill(fill_event(price_ticks=100, qty_lots=20), [100, 0])
    assert books.equity([90, 0]) == 1000 - 20
    assert books.gross([90, 0]) == 180
    assert books.initial_margin([90, 0]) == 36
    assert books.free_margin([90, 0]) == 980 - 36
    assert books.equity([0, 0]) is books.free_margin([0, 0]) is None


def test_a_spot_instrument_in_a_perpetual_account_is_paid_in_full_and_not_sold_short() -> None:
    books = perpetual()
    books.apply_fill(fill_event(instrument=1, price_ticks=100, qty_lots=20), [0, 100])
    assert books.cash == 800
    assert books.equity([0, 100]) == 1000 and books.free_margin([0, 100]) == 800
    assert [books.leverage(index) for index in (0, 1)] == [5, 1]
    assert [books.may_short(index) for index in (0, 1)] == [True, False]
    assert books.balances() == {"USDT": 800, "ETH": 2}


def test_a_margin_account_may_go_below_zero_and_sell_what_it_does_not_hold() -> None:
    books = make_account(AccountTerms(kind="margin", leverage=Decimal(2)), TRADED, "USDT", Decimal(1000))
    books.apply_fill(fill_event(instrument=1, price_ticks=100, qty_lots=150), [0, 100])
    assert books.cash == -500 and books.equity([0, 100]) == 1000
    assert books.free_margin([0, 100]) == 250
    assert books.may_short(1) and books.leverage(1) == 2
    books.check()


def test_the_terms_name_the_account() -> None:
    made = [
        make_account(AccountTerms(kind=kind), TRADED, "USDT", Decimal(1))
        for kind in ("spot", "margin", "perpetual")
    ]
    assert [type(each) for each in made] == [SpotAccount, SpotAccount, LinearPerpAccount]
    assert [each.may_short(1) for each in made] == [False, True, False]
    with pytest.raises(ConfigError, match="account must be spot, margin or perpetual, was 'cross'"):
        make_account(AccountTerms(kind="cross"), TRADED, "USDT", Decimal(1))  # type: ignore[arg-type]  # As decoded.


@pytest.mark.parametrize(
    ("kind", "leverage", "message"),
    [
        ("spot", "2", "leverage of an account that pays in full must be 1, was 2"),
        ("margin", "0.5", "leverage must be >= 1, was 0.5"),
        ("perpetual", "NaN", "leverage must be >= 1, was NaN"),
    ],
)
def test_a_leverage_that_is_none_is_refused(kind: str, leverage: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_account(AccountTerms(kind=kind, leverage=Decimal(leverage)), TRADED, "USDT", Decimal(1))  # type: ignore[arg-type]  # From a table.


def test_margin_that_does_not_end_is_rounded_up() -> None:
    assert margin(Decimal(100), Decimal(4)) == 25
    third = margin(Decimal(100), Decimal(3))
    assert third * 3 > 100 and third - Decimal(100) / 3 < Decimal("1e-17")


def test_funding_in_another_asset_than_the_accounts_stops_the_run() -> None:
    with pytest.raises(InvariantError, match="comes in BNB, the account keeps USDT"):
        perpetual().apply_funding(funding_event("1", asset="BNB"), [100, 0])


def test_a_payment_that_nobody_booked_is_found() -> None:
    books = perpetual()
    books.apply_funding(funding_event("3"), [100, 0])
    books.cash += 1
    with pytest.raises(InvariantError, match="1004 are not capital"):
        books.check()
