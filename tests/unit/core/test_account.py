"""The account by hand: where a fee is taken from, what is refused, what may be sold short."""

from decimal import Decimal

import pytest

from njord.core.account import SpotAccount
from njord.core.errors import ConfigError, InvariantError
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, Side
from njord.core.units import EXACT
from tests.property.strategies import fill_event, instrument

BTC = instrument("BTC/USDT", tick_size=Decimal(1), lot_size=Decimal("0.1"))
BNB = instrument("BNB/USDT", tick_size=Decimal(1), lot_size=Decimal("0.1"))
PERP = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))


def account(*traded: Instrument) -> SpotAccount:
    return SpotAccount(traded or (BTC, BNB), "USDT", Decimal(1000))


def test_a_fee_in_the_quote_asset_leaves_cash() -> None:
    books = account()
    books.apply_fill(fill_event(price_ticks=100, qty_lots=10, fee=Decimal("0.1")), [100, 0])
    assert books.balances() == {"USDT": Decimal("899.9"), "BTC": Decimal(1), "BNB": Decimal(0)}
    assert books.fees == Decimal("0.1")
    assert books.equity([110, 0]) == Decimal("1009.9")


def test_a_fee_in_the_base_asset_leaves_inventory_at_the_price_of_the_fill() -> None:
    books = account()
    snapshots = books.apply_fill(
        fill_event(price_ticks=100, qty_lots=10, fee=Decimal("0.01"), fee_asset="BTC"), [100, 0]
    )
    assert [snapshot.qty for snapshot in snapshots] == [Decimal("0.99")]
    assert books.cash == 900
    assert books.fees == 1
    assert books.equity([100, 0]) == 999


def test_a_fee_in_another_traded_asset_leaves_that_inventory_at_its_mark() -> None:
    books = account()
    marks = [100, 20]
    books.apply_fill(fill_event("c1", instrument=1, price_ticks=20, qty_lots=10), marks)
    snapshots = books.apply_fill(
        fill_event("c2", price_ticks=100, fee=Decimal("0.5"), fee_asset="BNB"), marks
    )
    assert [(each.instrument, each.qty) for each in snapshots] == [(0, Decimal(1)), (1, Decimal("0.5"))]
    assert snapshots[0].fees == 10
    assert books.equity(marks) == 990


@pytest.mark.parametrize(("asset", "marks"), [("XYZ", [100, 20]), ("BNB", [100, 0])])
def test_a_fee_that_nothing_prices_is_kept_in_its_asset_and_equity_is_unknown(
    asset: str, marks: list[int]
) -> None:
    books, mirror = account(), account()
    (snapshot,) = books.apply_fill(fill_event(price_ticks=100, fee=Decimal("0.5"), fee_asset=asset), marks)
    mirror.adopt(snapshot)
    for each in (books, mirror):
        assert each.balances()[asset] == Decimal("-0.5")
        assert each.equity(marks) is None
        assert each.free_margin(marks) is None


def test_a_contract_is_no_inventory_to_pay_a_fee_with() -> None:
    books = account(PERP)
    books.apply_fill(fill_event(price_ticks=100, fee=Decimal("0.01"), fee_asset="BTC"), [100])
    assert books.position(0).qty == 1
    assert books.equity([100]) is None


def test_a_rebate_is_negative_cost() -> None:
    books = account()
    books.apply_fill(fill_event(price_ticks=100, fee=Decimal(-2)), [100, 0])
    assert [books.cash, books.fees, books.equity([100, 0])] == [902, -2, 1002]


def test_equity_needs_a_price_only_where_something_is_held() -> None:
    books = account()
    assert books.equity([0, 0]) == 1000
    books.apply_fill(fill_event(price_ticks=100), [0, 0])
    assert books.equity([0, 50]) is None and books.gross([0, 50]) is None
    assert books.equity([100, 0]) == 1000


def test_a_short_at_1x_frees_nothing_by_its_proceeds() -> None:
    books = account(PERP)
    books.apply_fill(fill_event(side=Side.SELL, price_ticks=100, qty_lots=40), [100])
    assert [books.cash, books.gross([100]), books.free_margin([100])] == [1400, 400, 600]
    assert books.free_margin([150]) == 200
    assert books.may_short(0) and not account().may_short(0)


def test_an_instrument_of_another_quote_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="ETH/BTC is quoted in BTC, the account in USDT"):
        account(BTC, instrument("ETH/BTC"))


def test_a_broken_identity_is_noticed() -> None:
    books = account()
    books.apply_fill(fill_event(price_ticks=100), [100, 0])
    books.check()
    books.cash += Decimal("1e-18")
    with pytest.raises(InvariantError, match="are not capital"):
        books.check()


def test_a_sale_of_more_digits_than_28_keeps_them() -> None:
    fine = instrument(tick_size=Decimal("1e-18"), lot_size=Decimal("1e-18"))
    books = SpotAccount((fine,), "USDT", Decimal(0))
    ticks, lots = 2**62 + 1, 2**62 + 3
    exactly = EXACT.scaleb(Decimal(ticks * lots), -36)
    books.apply_fill(fill_event("a", side=Side.SELL, price_ticks=ticks, qty_lots=lots), [ticks])
    assert books.cash == exactly
    assert books.gross([ticks]) == exactly
