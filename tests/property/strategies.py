"""Shared by the property and unit tests: random values of every message, random markets, and a small bar host.

`BarHost` is the history host's loop without its files: the real system, the real venue and the real timers, for any
number of instruments, with a hook after every engine step.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as mi

from njord.backtest.host import Timers
from njord.core.accounts import AccountTerms
from njord.core.config import Config
from njord.core.contracts import (
    AmendEvent,
    Bar,
    BrokerReport,
    CancelEvent,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderUpdate,
    TimerSet,
)
from njord.core.filters import FilterChange
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderReason, OrderStatus, Side, TradingState
from njord.core.units import EXACT, FOREVER_NS
from njord.execution.gateway import Gateway
from njord.strategies.base import Strategy
from njord.system import HostedSpec, System, SystemSpec
from njord.venues.fees import FeeModel
from njord.venues.simulated import SimulatedVenue
from njord.venues.terms import VenueTerms

INTERVAL_NS = 60_000_000_000
START_NS = 1_700_000_040_000_000_000

# --- instruments and numbers -------------------------------------------------------------------------------------


def instrument(
    symbol: str = "BTC/USDT", kind: InstrumentKind = InstrumentKind.SPOT, **given: Any
) -> Instrument:
    """Return an instrument with a tick of 0.1 and a lot of 0.001 unless told otherwise."""
    base, quote = symbol.partition(":")[0].split("/")
    values: dict[str, Any] = {"tick_size": Decimal("0.1"), "lot_size": Decimal("0.001"), **given}
    return Instrument(symbol=symbol, venue="sim", base=base, quote=quote, kind=kind, **values)


def steps(max_decimals: int = 18) -> st.SearchStrategy[Decimal]:
    """Steps such as 0.01, 0.5, 25 or 1e-18, tick or lot."""
    return st.builds(
        lambda digits, scale: Decimal(digits).scaleb(-scale),
        st.sampled_from([1, 2, 5, 25, 3]),
        st.integers(-3, max_decimals),
    )


@st.composite
def filter_changes(draw: st.DrawFn) -> tuple[FilterChange, ...]:
    """Changes of an instrument's filters, in order of time."""
    times = draw(st.lists(st.integers(0, 2**62), max_size=3, unique=True).map(sorted))
    bound = st.decimals(0, 10, places=6)
    return tuple(
        FilterChange(
            from_ns=from_ns,
            min_qty=draw(bound),
            max_qty=Decimal(draw(st.sampled_from([0, 10**6]))),
            min_notional=draw(bound),
            tick_multiple=draw(st.integers(1, 10)),
            lot_multiple=draw(st.integers(1, 10)),
        )
        for from_ns in times
    )


def instruments() -> st.SearchStrategy[Instrument]:
    """Instruments of all scales."""
    return st.builds(
        instrument,
        tick_size=steps(),
        lot_size=steps(),
        kind=st.sampled_from(InstrumentKind),
        money_scale=st.integers(0, 18),
        filter_changes=filter_changes(),
    )


def amounts(low: str = "-1e12", high: str = "1e12", places: int = 12) -> st.SearchStrategy[Decimal]:
    """Finite decimals."""
    return st.decimals(Decimal(low), Decimal(high), allow_nan=False, allow_infinity=False, places=places)


# --- every message -----------------------------------------------------------------------------------------------


def messages_of(cls: type) -> st.SearchStrategy[Any]:
    """Return random valid values of a struct, read off its own field types, so that new fields join by being there."""
    if cls is Instrument:
        return instruments()
    info = mi.type_info(cls)
    assert isinstance(info, mi.StructType)
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in info.fields:
        if field.name == "schema":
            continue
        value = _value(field.type)
        fields[field.name] = value
    return st.builds(cls, **fields)


def _value(kind: mi.Type) -> st.SearchStrategy[Any]:
    match kind:
        case mi.IntType(gt=gt, ge=ge):
            low = gt + 1 if gt is not None else ge if ge is not None else -(2**63)
            return st.integers(low, 2**63 - 1)
        case mi.StrType():
            return st.text(max_size=12)
        case mi.BoolType():
            return st.booleans()
        case mi.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case mi.DecimalType():
            return amounts(places=18)
        case mi.NoneType():
            return st.none()
        case mi.EnumType(cls=enum):
            return st.sampled_from(enum)
        case mi.VarTupleType(item_type=item):
            return st.lists(_value(item), max_size=3).map(tuple)
        case mi.TupleType(item_types=items):
            return st.tuples(*map(_value, items))
        case mi.UnionType(types=choices):
            return st.one_of(*map(_value, choices))
        case mi.StructType(cls=struct):
            return messages_of(struct)
    raise TypeError(f"no random values for {kind}; teach tests/property/strategies.py")


# --- orders and fills ---------------------------------------------------------------------------------------------


def order_event(client_order_id: str = "c1", **given: Any) -> OrderEvent:
    """Return an approved buy of 10 lots at market, changed as told."""
    values: dict[str, Any] = {
        "ts_ns": START_NS,
        "instrument": 0,
        "account_id": "main",
        "strategy_id": "s",
        "intent_id": f"i-{client_order_id}",
        "client_order_id": client_order_id,
        "side": Side.BUY,
        "type": "market",
        "tif": "gtc",
        "qty_lots": 10,
        "decision_seq": 1,
        "limits_version": 1,
        "expires_ns": START_NS + 10**10,
        **given,
    }
    return msgspec.convert(values, OrderEvent)


def fill_event(client_order_id: str = "c1", **given: Any) -> FillEvent:
    """Return a fill of 10 lots at 1000 ticks without a fee, changed as told."""
    values: dict[str, Any] = {
        "ts_ns": START_NS,
        "instrument": 0,
        "account_id": "main",
        "strategy_id": "s",
        "intent_id": f"i-{client_order_id}",
        "client_order_id": client_order_id,
        "side": Side.BUY,
        "price_ticks": 1000,
        "qty_lots": 10,
        "fee": Decimal(0),
        "fee_asset": "USDT",
        "is_maker": False,
        "venue_trade_id": "1",
        "ts_venue_ns": START_NS,
        **given,
    }
    return FillEvent(**values)


def order_update(
    status: OrderStatus, client_order_id: str = "c1", reason: OrderReason = OrderReason.NONE, **given: Any
) -> OrderUpdate:
    """Return the venue's word on an order."""
    return OrderUpdate(
        **given,
        ts_ns=START_NS,
        instrument=0,
        account_id="main",
        strategy_id="s",
        intent_id=f"i-{client_order_id}",
        client_order_id=client_order_id,
        status=status,
        reason=reason,
        ts_venue_ns=START_NS,
    )


def amend_event(client_order_id: str = "c1", **given: Any) -> AmendEvent:
    """Return an approved amendment that says what `given` says."""
    values: dict[str, Any] = {
        "ts_ns": START_NS,
        "instrument": 0,
        "account_id": "main",
        "strategy_id": "s",
        "intent_id": f"a-{client_order_id}",
        "decision_seq": 1,
        **given,
    }
    return AmendEvent(client_order_id=client_order_id, **values)


def funding_event(amount: str, **given: Any) -> FundingEvent:
    """Return a funding payment in USDT."""
    values: dict[str, Any] = {
        "ts_ns": START_NS,
        "instrument": 0,
        "account_id": "main",
        "rate": Decimal("0.0001"),
        "mark_ticks": 1000,
        "asset": "USDT",
        "ts_venue_ns": START_NS,
        **given,
    }
    return FundingEvent(amount=Decimal(amount), **values)


# --- markets ------------------------------------------------------------------------------------------------------


def bar(number: int, open_: int, high: int, low: int, close: int, index: int = 0) -> Bar:
    """Return the bar `number` minutes after the start."""
    opened = START_NS + number * INTERVAL_NS
    return Bar(
        ts_ns=opened + INTERVAL_NS,
        instrument=index,
        ts_open_ns=opened,
        open=open_,
        high=high,
        low=low,
        close=close,
    )


@st.composite
def bar_series(
    draw: st.DrawFn,
    n_instruments: int = 1,
    n_bars: tuple[int, int] = (5, 12),
    honest: bool = True,
    prices: tuple[int, int] = (85, 115),
) -> list[Bar]:
    """Random bars, one per instrument and minute; unless `honest`, high and low may contradict open and close."""
    price = st.integers(*prices)
    bars: list[Bar] = []
    for number in range(draw(st.integers(*n_bars))):
        for index in range(n_instruments):
            open_, close, first, second = (draw(price) for _ in range(4))
            high, low = max(first, second), min(first, second)
            if honest:
                high, low = max(open_, close, high), min(open_, close, low)
            bars.append(bar(number, open_, high, low, close, index))
    return bars


# --- a host -------------------------------------------------------------------------------------------------------


class MemoryJournal:
    """A journal that is a list."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def append(self, message: Message) -> None:
        """Record `message` as the next one."""
        self.messages.append(message)


SPOT_ACCOUNT = AccountTerms()


class BarHost:
    """Feeds bars to a system and its orders to a simulated venue, as the history host does.

    Args:
        hosted: Strategy id -> (instrument, strategy) pairs.
        traded: All instruments.
        capital: Opening cash.
        fee_bps: Maker and taker rate.
        slippage_bps: Of takers.
        rules: Risk rules by name; the research profile unless given.
        fixed_qty: As `--qty`.
        account: Its kind and leverage, here and at the venue.
        after_step: Called after every engine step, with the message that went in.
    """

    def __init__(
        self,
        hosted: Mapping[str, Sequence[tuple[int, Strategy]]],
        traded: Sequence[Instrument],
        *,
        capital: Decimal = Decimal(10_000),
        fee_bps: Decimal = Decimal(10),
        slippage_bps: Decimal = Decimal(5),
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        fixed_qty: Decimal | None = None,
        account: AccountTerms = SPOT_ACCOUNT,
        after_step: Callable[["BarHost", Message], None] = lambda host, message: None,
    ) -> None:
        self.journal = MemoryJournal()
        self.account = account
        spec = SystemSpec(
            run_id="run",
            account_id="main",
            report_asset=traded[0].quote,
            capital=capital,
            instruments=tuple(traded),
            strategies=tuple(
                HostedSpec(strategy_id=name, objects=tuple(objects)) for name, objects in hosted.items()
            ),
            risk_profile="research",
            risk_rules=Config().risk.profiles["research"].rules if rules is None else rules,
            cost_bps=EXACT.add(fee_bps, slippage_bps),
            fixed_qty=fixed_qty,
            account=account,
        )
        self.system = System(spec, self.journal)
        fees = FeeModel(maker_bps=fee_bps, taker_bps=fee_bps)
        terms = VenueTerms(slippage_bps=slippage_bps, account=account.kind, leverage=account.leverage)
        self.venue = SimulatedVenue(traded, fees, terms, capital, traded[0].quote)
        self.gateway = Gateway(self.venue, self.venue.exchange_rules(), "main")
        self.timers = Timers()
        self._after_step = after_step
        self.step(
            KillSwitchState(
                ts_ns=START_NS, state=TradingState.ACTIVE, source="test", valid_until_ns=FOREVER_NS
            )
        )

    def run(self, bars: Sequence[Bar]) -> "BarHost":
        """Run all bars and end every order that still works."""
        for current in bars:
            self.feed(current)
        if bars:
            self.deliver(self.venue.expire_all(bars[-1].ts_ns), bars[-1].ts_ns)
        return self

    def feed(self, current: Bar) -> None:
        """Run one bar: timers, then the venue, then the system."""
        for timer in self.timers.pop(current.ts_ns):
            self.step(timer)
        self.deliver(self.venue.on_bar(current), current.ts_ns)
        self.step(current)

    def step(self, message: Message) -> None:
        """Run one inbound message and hand on what it caused."""
        done = self.system.engine.step(message)
        self._after_step(self, message)
        for caused in done:
            if isinstance(caused, OrderEvent | CancelEvent | AmendEvent):
                reply = self.gateway.send(caused, message.ts_ns)
                if reply is not None:
                    self.step(reply)
                self.deliver(self.venue.drain(), message.ts_ns)
            elif isinstance(caused, TimerSet):
                self.timers.set(caused)

    def deliver(self, reports: Sequence[BrokerReport], now_ns: int) -> None:
        """Bring the venue's reports in."""
        for report in reports:
            self.step(self.gateway.translate(report, now_ns))

    def of(self, kind: type) -> list[Any]:
        """Return the journaled messages of one kind."""
        return [message for message in self.journal.messages if type(message) is kind]


def is_ordered(values: Sequence[Any]) -> bool:
    """Say whether `values` never fall."""
    return all(before <= after for before, after in pairwise(values))
