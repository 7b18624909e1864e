"""Rules and fees are those of the time, not of today."""

from decimal import Decimal

import msgspec
import pytest

from njord.core.errors import ConfigError, DataError
from njord.storage.store.rules import FeeTier, InstrumentRules, fees_at, rules_at
from tests.unit.storage.store.store_samples import instrument

OLD, NEW = instrument(tick="0.1"), instrument(tick="0.01")
RULES = (InstrumentRules(100, OLD), InstrumentRules(200, NEW))


@pytest.mark.parametrize(
    ("ts_ns", "expected"), [(0, OLD), (99, OLD), (100, OLD), (199, OLD), (200, NEW), (999, NEW)]
)
def test_the_last_rules_that_are_not_later_hold(ts_ns: int, expected: object) -> None:
    assert rules_at(RULES, ts_ns) == expected
    assert rules_at(RULES[::-1], ts_ns) == expected


def test_fees_depend_on_the_time_and_the_volume() -> None:
    fees = tuple(
        FeeTier(from_ns, Decimal(maker), Decimal(maker) + 5, Decimal(volume))
        for from_ns, maker, volume in [(0, 10, 0), (0, 8, 1_000), (50, 9, 0), (50, -1, 5_000)]
    )
    assert fees_at(fees, 10).maker_bps == 10
    assert fees_at(fees, 10, Decimal(1_000)).maker_bps == 8
    assert fees_at(fees, 50, Decimal(1_000)).maker_bps == 9
    assert fees_at(fees, 51, Decimal(5_000)).maker_bps == -1


def test_what_was_never_recorded_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="the dataset records no rules"):
        rules_at((), 5)
    with pytest.raises(
        DataError, match=r"no fee tier at 1970-01-01T00:00:00\.000000005Z begins at a volume of 0"
    ):
        fees_at((FeeTier(0, Decimal(1), Decimal(1), Decimal(10)),), 5)


def test_a_fee_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="taker_bps of a fee tier must be finite, was NaN"):
        msgspec.json.decode(b'{"from_ns":0,"maker_bps":"1","taker_bps":"NaN"}', type=FeeTier)
