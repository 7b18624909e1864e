"""The vocabulary: complete, immutable, and closed against money that is none."""

import inspect
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core import contracts
from njord.core.contracts import INBOUND, AnyMessage, Message, PositionSnapshot
from njord.core.ordering import INBOUND_CLASS
from njord.core.topics import TOPICS
from tests.property.strategies import bar, fill_event, messages_of

KINDS: tuple[type[Message], ...] = get_args(AnyMessage)
STRUCTS = [
    each for _, each in inspect.getmembers(contracts, inspect.isclass) if issubclass(each, msgspec.Struct)
]
# What the components make; the rest comes from outside, and replaying that alone brings these back.
DERIVED = {
    contracts.DataGap,
    contracts.Target,
    contracts.OrderIntent,
    contracts.CancelIntent,
    contracts.AmendIntent,
    contracts.TimerSet,
    contracts.ProposalRefused,
    contracts.StrategySuspended,
    contracts.RiskDecision,
    contracts.OrderEvent,
    contracts.CancelEvent,
    contracts.AmendEvent,
    contracts.PositionSnapshot,
}


def test_every_message_class_can_be_decoded() -> None:
    declared = {each for each in STRUCTS if issubclass(each, Message) and each is not Message}
    assert declared == set(KINDS)


def test_every_message_either_comes_from_outside_or_is_derived() -> None:
    assert set(INBOUND) | DERIVED == set(KINDS)
    assert not set(INBOUND) & DERIVED
    assert len(INBOUND) == len(set(INBOUND))


def test_every_inbound_message_has_its_place_in_the_order() -> None:
    assert set(INBOUND_CLASS) == set(INBOUND)


def test_every_topic_is_its_own_and_carries_a_message() -> None:
    assert set(TOPICS) <= set(KINDS)
    assert len(set(TOPICS.values())) == len(TOPICS)
    assert TOPICS[contracts.Bar].format(symbol="BTC/USDT", timeframe="1m") == "md.ohlcv.1m.BTC/USDT"
    assert TOPICS[contracts.RiskDecision] == "risk.decision"
    assert contracts.TimerSet not in TOPICS


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_no_struct_can_be_changed_after_birth(struct: type[msgspec.Struct]) -> None:
    assert struct.__struct_config__.frozen


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_a_message_holds_can_not_be_changed_either(kind: type[Message]) -> None:
    mutable = (
        msgspec.inspect.ListType,
        msgspec.inspect.DictType,
        msgspec.inspect.SetType,
        msgspec.inspect.AnyType,
    )
    pending: list[Any] = [msgspec.inspect.type_info(kind)]
    while pending:
        info = pending.pop()
        assert not isinstance(info, mutable)
        if isinstance(info, msgspec.inspect.StructType):
            assert info.cls.__struct_config__.frozen
            pending += [field.type for field in info.fields]
        for name in ("item_type", "item_types", "types"):
            inner = getattr(info, name, ())
            pending += inner if isinstance(inner, tuple) else (inner,)


@given(st.one_of([messages_of(kind) for kind in KINDS]))
def test_a_message_refuses_assignment(message: Message) -> None:
    with pytest.raises(AttributeError):
        message.ts_ns = 5  # type: ignore[misc]  # That it fails is the test.


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_money_is_finite_or_the_message_does_not_come_into_being(amount: str) -> None:
    broken = Decimal(amount)
    with pytest.raises(ValueError, match="must be finite"):
        fill_event(fee=broken)
    snapshot: dict[str, Any] = {name: Decimal(1) for name in ("qty", "cost", "realized_pnl", "fees", "cash")}
    for name in snapshot:
        with pytest.raises(ValueError, match="must be finite"):
            PositionSnapshot(ts_ns=1, instrument=0, account_id="a", **{**snapshot, name: broken})
    with pytest.raises(ValueError, match="must be finite"):
        PositionSnapshot(ts_ns=1, instrument=0, account_id="a", **snapshot, unvalued=(("XYZ", broken),))


def test_a_flat_position_has_no_average_price() -> None:
    zero = Decimal(0)
    flat = PositionSnapshot(
        ts_ns=1, instrument=0, account_id="a", qty=zero, cost=zero, realized_pnl=zero, fees=zero, cash=zero
    )
    assert flat.avg_price is None
    assert msgspec.structs.replace(flat, qty=Decimal(-2), cost=Decimal(-18)).avg_price == 9


def test_a_bar_is_known_at_its_close() -> None:
    assert bar(0, 1, 2, 1, 2).ts_ns > bar(0, 1, 2, 1, 2).ts_open_ns
