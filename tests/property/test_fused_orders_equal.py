"""Orders of a compiled strategy meet the same fate in the fused loop and in the ordered engine, on random worlds."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from njord.adapters.plugins import load_strategy
from njord.backtest.fused_terms import NotFused
from njord.core.contracts import Bar
from njord.core.instrument import Instrument
from njord.kernels.order_slots import IOC, POST_ONLY, REDUCE_ONLY
from tests.property.test_fused_equal import (
    INSTRUMENTS,
    RULES,
    SETTINGS,
    bars,
    check_same,
    prepared_run,
)

SCRIPT = Path(__file__).with_name("compiled_script.py")

ORDER_RULES = st.builds(
    lambda rules, more: {**rules, **more},
    RULES,
    st.fixed_dictionaries(
        {},
        optional={
            "open_orders": st.sampled_from([{"cap": 1}, {"cap": 2}, {"cap": 5}, {"cap": 100}]),
            "price_collar": st.sampled_from(
                [
                    {"max_distance_fraction": "0.001"},
                    {"max_distance_fraction": "0.0137"},
                ]
            ),
        },
    ),
)
ORDER_SETTINGS = st.builds(
    lambda settings, more: {**settings, **more},
    SETTINGS,
    st.fixed_dictionaries(
        {
            "maker_fee_bps": st.sampled_from(["0", "4.5", "-1.5", "10"]),
            "self_trade": st.sampled_from(["none", "expire_taker", "expire_maker", "expire_both"]),
        }
    ),
)
KINDS = st.sampled_from([0, 0, 0, 0, IOC, POST_ONLY, REDUCE_ONLY, REDUCE_ONLY | IOC, POST_ONLY | IOC])


@st.composite
def scripts(draw: st.DrawFn, sizes: Sequence[int] = (1, 30, 4000)) -> dict[str, Any]:
    """Draw what a script does: few slots and prices near the close, so that orders meet."""
    period = draw(st.integers(1, 9))
    slots, size = (
        st.integers(0, draw(st.sampled_from([1, 3, 15]))),
        draw(st.sampled_from(sizes)),
    )
    reach = draw(st.sampled_from([2, 8, 60, 900]))
    line = st.tuples(
        st.integers(0, period - 1),
        st.sampled_from([0, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 5, 6, 7, 7, 8]),
        slots,
        st.sampled_from([size] * 6 + [2 * size, 3 * size, 3, 0, -1]),
        st.integers(-reach, reach),
        KINDS,
    )
    lines = draw(st.lists(line, min_size=1, max_size=14))
    flat = tuple(number for each in lines for number in each)
    return {
        "lines": flat,
        "period": period,
        "warm": draw(st.sampled_from([0, 0, 1, 5])),
    }


# Hardly anything is refused here: what counts is how orders meet bars, and each other.
FREE = Instrument(
    symbol="BTC/USDT",
    venue="here",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)
FREE_SETTINGS = {
    "capital": "1000000",
    "fee_bps": "7.5",
    "slippage_bps": "3",
    "entry_latency_ns": 0,
}


def check_script(
    instrument: Instrument,
    drawn: list[Bar],
    settings: dict[str, Any],
    rules: dict[str, Any],
    script: dict[str, Any],
) -> None:
    """Run a script both ways, unless a price of its own is beyond all that the loop's whole numbers are made for."""
    loaded = load_strategy(str(SCRIPT))
    prepared = prepared_run(
        loaded,
        msgspec.convert(script, loaded.cls.Params),
        instrument,
        drawn,
        settings,
        rules,
    )
    try:
        check_same(prepared)
    except NotFused as reason:
        assert "MONEY_RANGE at bar" in str(reason)
        reject()


@pytest.mark.integration
@given(
    bars(),
    st.sampled_from(["spot", "margin"]),
    st.sampled_from(["none", "expire_taker", "expire_maker", "expire_both"]),
    st.sampled_from(["0", "-1.5", "4.5"]),
    scripts((1, 30)),
)
def test_orders_that_meet_bars_and_each_other_end_the_same_way_in_both(
    drawn: list[Bar],
    account: str,
    self_trade: str,
    maker_fee_bps: str,
    script: dict[str, Any],
) -> None:
    settings = {
        **FREE_SETTINGS,
        "account": account,
        "self_trade": self_trade,
        "maker_fee_bps": maker_fee_bps,
    }
    check_script(FREE, drawn, settings, {}, script)


@pytest.mark.integration
@pytest.mark.long  # The campaign runs it with the profile of the properties.
@given(INSTRUMENTS, bars(), ORDER_SETTINGS, ORDER_RULES, scripts())
def test_placed_orders_end_the_same_way_in_the_loop_and_in_the_ordered_engine(
    instrument: Instrument,
    drawn: list[Bar],
    settings: dict[str, Any],
    rules: dict[str, Any],
    script: dict[str, Any],
) -> None:
    check_script(instrument, drawn, settings, rules, script)
