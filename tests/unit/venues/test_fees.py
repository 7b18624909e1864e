"""Fees by hand."""

from decimal import Decimal

import pytest

from njord.venues.fees import FeeModel
from tests.property.strategies import instrument


@pytest.mark.parametrize(("is_maker", "fee"), [(True, "-0.00000012"), (False, "0.00000247")])
def test_makers_and_takers_pay_their_own_rate_in_quote_rounded_against_us(is_maker: bool, fee: str) -> None:
    model = FeeModel(maker_bps=Decimal("-0.5"), taker_bps=Decimal(10))
    assert model.charge(instrument(), Decimal("0.00246913"), is_maker) == (Decimal(fee), "USDT")
