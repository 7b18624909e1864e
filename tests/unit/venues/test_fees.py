"""Fees by hand."""

from decimal import Decimal

import pytest

from njord.core.errors import ConfigError
from njord.core.types import InstrumentKind
from njord.core.units import NS_PER_DAY
from njord.venues.fees import FeeMeter, FeeModel, FeeTier
from tests.property.strategies import bar, instrument
from tests.unit.venues.venue_case import placed, request, venue

NOTIONAL, QTY = Decimal("0.00246913"), Decimal("0.5")


@pytest.mark.parametrize(("is_maker", "fee"), [(True, "-0.00000012"), (False, "0.00000247")])
def test_makers_and_takers_pay_their_own_rate_in_quote_rounded_against_us(is_maker: bool, fee: str) -> None:
    meter = FeeMeter(FeeModel(maker_bps=Decimal("-0.5"), taker_bps=Decimal(10)))
    assert meter.charge(instrument(), NOTIONAL, QTY, 1, is_maker, 0) == (Decimal(fee), "USDT")


def test_a_buyer_pays_in_kind_and_a_seller_or_a_contract_in_quote() -> None:
    model = FeeModel(maker_bps=Decimal(-1), taker_bps=Decimal("10.1"), fee_asset="received")
    meter = FeeMeter(model)
    coarse = instrument(money_scale=3)
    assert meter.charge(coarse, NOTIONAL, QTY, 1, False, 0) == (
        Decimal("0.001"),
        "BTC",
    )  # 0.000505, rounded up.
    assert meter.charge(coarse, NOTIONAL, Decimal(50), 1, True, 0) == (Decimal("-0.005"), "BTC")
    assert meter.charge(coarse, NOTIONAL, QTY, -1, False, 0) == (Decimal("0.001"), "USDT")
    contract = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR)
    assert meter.charge(contract, NOTIONAL, QTY, 1, False, 0)[1] == "USDT"


def test_the_tier_follows_the_volume_of_the_30_days_before_a_fill() -> None:
    tiers = (
        FeeTier(volume_notional=Decimal(100), maker_bps=Decimal(5), taker_bps=Decimal(8)),
        FeeTier(volume_notional=Decimal(200), maker_bps=Decimal(-1), taker_bps=Decimal(6)),
    )
    meter = FeeMeter(FeeModel(maker_bps=Decimal(9), taker_bps=Decimal(10), tiers=tiers))

    def fee(day: int, is_maker: bool = False) -> Decimal:
        return meter.charge(instrument(), Decimal(100), QTY, 1, is_maker, day * NS_PER_DAY)[0]

    assert fee(0) == Decimal("0.1")
    meter.record(Decimal(100), 0)
    assert (fee(0), fee(0, is_maker=True)) == (Decimal("0.08"), Decimal("0.05"))
    meter.record(Decimal(100), NS_PER_DAY)
    assert (fee(1), fee(1, is_maker=True)) == (Decimal("0.06"), Decimal("-0.01"))
    assert fee(30) == Decimal("0.06")
    assert fee(31) == Decimal("0.08")
    assert fee(32) == Decimal("0.1")


def test_tiers_must_rise() -> None:
    tier = FeeTier(volume_notional=Decimal(1), maker_bps=Decimal(1), taker_bps=Decimal(1))
    with pytest.raises(ConfigError, match="fee_tiers must rise in volume_notional, were 1 1"):
        FeeModel(maker_bps=Decimal(1), taker_bps=Decimal(1), tiers=(tier, tier))


def test_a_fill_does_not_count_toward_its_own_tier() -> None:
    tier = FeeTier(volume_notional=Decimal(50), maker_bps=Decimal(0), taker_bps=Decimal(0))
    fees = FeeModel(maker_bps=Decimal(10), taker_bps=Decimal(10), tiers=(tier,))
    where = placed(venue(fees=fees, slippage="0"), request("a"), request("b"))
    where.on_bar(bar(0, 100, 100, 100, 100))
    assert [each.fee for each in where.fetch_trades("BTC/USDT", "")] == [Decimal("0.1"), 0]


def test_a_fee_in_kind_leaves_less_of_what_was_bought_and_all_of_the_cash() -> None:
    fees = FeeModel(maker_bps=Decimal(10), taker_bps=Decimal(10), fee_asset="received")
    where = placed(venue(fees=fees, slippage="0"), request())
    where.on_bar(bar(0, 100, 100, 100, 100))
    assert (where.cash, where.held_qty(0)) == (Decimal(900), Decimal("0.999"))
