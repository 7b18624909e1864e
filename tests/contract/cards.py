"""What is a contract card? A number, a claim, what is done at a venue, and exactly what is heard of it, in our own words.

A card is data: the tests play it (`simulated_stage.py`, `exchange_stage.py`), `scripts/contract_cards.py` prints it. Its
script is read from top to bottom: steps are done, texts are what is heard after them, and nothing else may be heard. The
words are those of the engine's messages, without ids and times, quantities in base and prices in quote.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec

from njord.core.instrument import Instrument
from njord.core.types import OrderType, Side, TimeInForce

BTC = Instrument(
    symbol="BTC/USDT",
    venue="binanceus",
    base="BTC",
    quote="USDT",
    tick_size=Decimal(1),
    lot_size=Decimal("0.1"),
    min_qty=Decimal("0.2"),
    max_qty=Decimal(1000),
    min_notional=Decimal(50),
)
BIDS: Mapping[str, str] = {
    "99": "5",
    "98": "10",
}  # The book at the beginning of every card, quantity by price.
ASKS: Mapping[str, str] = {"101": "5", "102": "10"}
LAST = "100"
BALANCES: Mapping[str, str] = {"BTC": "100", "USDT": "100000", "BNB": "10"}


class Where(StrEnum):
    """Which venue a card is played at."""

    SIMULATED = "simulated venue"
    EXCHANGE = "local exchange"


class Stage(Protocol):
    """A venue behind its broker and its host, on which a card is played."""

    def place(self, order: "Order") -> None:
        """Send an order through the gateway."""

    def cancel(self, name: str) -> None:
        """Send a cancel through the gateway."""

    def amend(self, amend: "Amend") -> None:
        """Send an amendment through the gateway."""

    def market(self, bids: Mapping[str, str], asks: Mapping[str, str], prints: Sequence["Print"]) -> None:
        """Let the book change, then the public trade."""

    def ask(self, what: str, argument: str) -> list[str]:
        """Ask the broker, and return its answer in words."""

    def passes(self, seconds: float) -> None:
        """Let time pass."""

    def try_out(self, do: Callable[[Any], Iterable[str]]) -> list[str]:
        """Do something beside the broker, and return what came of it in words."""


@runtime_checkable
class Troubled(Protocol):
    """A stage whose venue others use too, whose way to it may fail, and whose session may be killed."""

    def deed(self, deed: Mapping[str, Any]) -> None:
        """Let the world do something to the account or the venue."""

    def fault(self, fault: str, params: Mapping[str, Any]) -> None:
        """Begin a fault."""

    def no_faults(self) -> None:
        """End all faults."""

    def stop(self) -> None:
        """End the broker and its host as a killed process would."""

    def start(self) -> None:
        """Go on from the journal."""


# --- what is done ---------------------------------------------------------------------------------------------------


class Step(Protocol):
    """Something that is done."""

    @property
    def words(self) -> str:
        """Say it."""

    def act(self, stage: Stage) -> list[str]:
        """Do it; return what is heard at once."""


def _troubled(stage: Stage) -> Troubled:
    assert isinstance(stage, Troubled), "this step needs a stage that has such trouble; see Card.where"
    return stage


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order; `name` is the card's for it."""

    name: str
    side: Side
    qty: str
    type: OrderType = OrderType.MARKET
    price: str = ""
    trigger: str = ""
    trail: str = ""
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    lasts_s: int = 0

    @property
    def words(self) -> str:
        """Say it."""
        parts = [f"{self.name}: {self.type.value.replace('_', '-')} {self.side.value} {self.qty}"]
        for what, value in (("at", self.price), ("trigger", self.trigger), ("trail", self.trail)):
            if value:
                parts.append(f"{what} {value}")
        if self.tif is not TimeInForce.GTC:
            parts.append(self.tif.value.upper())
        if self.post_only:
            parts.append("post-only")
        return " ".join(parts)

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        stage.place(self)
        return []


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel."""

    name: str

    @property
    def words(self) -> str:
        """Say it."""
        return f"cancel {self.name}"

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        stage.cancel(self.name)
        return []


class Amend(msgspec.Struct, frozen=True, kw_only=True):
    """An amendment; what is empty stays as it is."""

    name: str
    qty: str = ""
    price: str = ""

    @property
    def words(self) -> str:
        """Say it."""
        return (
            f"amend {self.name}"
            + (f" to {self.qty}" if self.qty else "")
            + (f" at {self.price}" if self.price else "")
        )

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        stage.amend(self)
        return []


class Print(msgspec.Struct, frozen=True):
    """A public trade; `taker` is the side that took."""

    taker: Side
    qty: str
    price: str


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """The market moves: levels are set (quantity 0 = gone), then there are public trades."""

    bids: Mapping[str, str] = {}
    asks: Mapping[str, str] = {}
    prints: tuple[Print, ...] = ()

    @property
    def words(self) -> str:
        """Say it."""
        parts = [f"bid {qty} at {price}" for price, qty in self.bids.items()]
        parts += [f"ask {qty} at {price}" for price, qty in self.asks.items()]
        parts += [f"somebody {each.taker.value}s {each.qty} at {each.price}" for each in self.prints]
        return "market: " + ", ".join(parts)

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        stage.market(self.bids, self.asks, self.prints)
        return []


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the broker: `order`, `open_orders`, `trades`, `balances`, `rules` or `time`.

    Attributes:
        what: One of these.
        of: Of an order its name; of trades the number of the card's trade behind which the list begins.
    """

    what: str
    of: str = ""

    @property
    def words(self) -> str:
        """Say it."""
        if self.what == "trades":
            return f"ask for trades after the {self.of}. of ours" if self.of else "ask for all trades"
        return f"ask for {self.what.replace('_', ' ')}" + (f" {self.of}" if self.of else "")

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        return stage.ask(self.what, self.of)


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What the account's owner or the venue does: see `njord/exchange/operator.py`."""

    told: str
    deed: Mapping[str, Any]

    @property
    def words(self) -> str:
        """Say it."""
        return self.told

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        _troubled(stage).deed(self.deed)
        return []


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of the catalogue (`njord/exchange/fault_plan.py`) from here on, `count` times at most."""

    fault: str
    told: str
    params: Mapping[str, Any] = {}

    @property
    def words(self) -> str:
        """Say it."""
        return f"fault {self.fault}: {self.told}"

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        _troubled(stage).fault(self.fault, self.params)
        return []


class NoFaults(msgspec.Struct, frozen=True, kw_only=True):
    """All is well again."""

    @property
    def words(self) -> str:
        """Say it."""
        return "the faults end"

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        _troubled(stage).no_faults()
        return []


class Passes(msgspec.Struct, frozen=True, kw_only=True):
    """Time goes by."""

    seconds: float

    @property
    def words(self) -> str:
        """Say it."""
        return f"{self.seconds:g} s pass"

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        stage.passes(self.seconds)
        return []


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """The session is gone."""

    @property
    def words(self) -> str:
        """Say it."""
        return "the session is killed"

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        _troubled(stage).stop()
        return []


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """The session is back."""

    @property
    def words(self) -> str:
        """Say it."""
        return "the session goes on from its journal"

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        _troubled(stage).start()
        return []


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """Something done beside the broker, such as the same with CCXT alone; `do` is given the stage."""

    told: str
    do: Callable[[Any], Iterable[str]]

    @property
    def words(self) -> str:
        """Say it."""
        return self.told

    def act(self, stage: Stage) -> list[str]:
        """Do it."""
        return stage.try_out(self.do)


def _orders_there(stage: Any) -> list[str]:
    codes = stage.requests("POST", "order")
    return [f"orders at the venue: {', '.join(str(code) if code else 'done' for code in codes) or 'none'}"]


ORDERS_THERE = Try(told="look which orders arrived at the venue, and how it answered", do=_orders_there)


# --- what is heard --------------------------------------------------------------------------------------------------


class Only(msgspec.Struct, frozen=True):
    """What is heard at one venue alone: a known difference."""

    where: Where
    lines: tuple[str, ...]


def simulated(*lines: str) -> Only:
    """Return what only the simulated venue says."""
    return Only(Where.SIMULATED, lines)


def exchange(*lines: str) -> Only:
    """Return what only the local exchange makes our adapter say."""
    return Only(Where.EXCHANGE, lines)


BOTH = (Where.SIMULATED, Where.EXCHANGE)
EXCHANGE_ONLY = (Where.EXCHANGE,)


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a card needs of its venue that others do not have.

    Attributes:
        options: Of `ExchangeOptions`.
        rules: Of the instrument, beside those of every card.
        stream: How the account's stream is opened: signature, listen_key, or none: then only answers tell.
        balances: Opening balances.
        own_addresses: The adapter dials the venue's own addresses, by https; all of them lead to the exchange.
        is_own: The venue and its broker serve this card alone.
    """

    options: Mapping[str, Any] = {}
    rules: Mapping[str, Any] = {}
    stream: str = "signature"
    balances: Mapping[str, str] = msgspec.field(default_factory=lambda: BALANCES)
    own_addresses: bool = False
    is_own: bool = True

    @property
    def instrument(self) -> Instrument:
        """What is traded."""
        return msgspec.structs.replace(BTC, **self.rules)


SHARED = Setup(is_own=False)


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One behavior.

    Attributes:
        number: Never given to another card.
        title: The claim.
        script: What is done and heard.
        where: At which venues it is played.
        why: Why not at both, or why they differ; empty where both say the same.
        source: The trap or document that it comes from.
        setup: Of the venue.
    """

    number: int
    title: str
    script: tuple[Step | Only | str, ...]
    where: tuple[Where, ...] = BOTH
    why: str = ""
    source: str = ""
    setup: Setup = SHARED

    def heard_at(self, where: Where) -> list[str]:
        """Return all that is to be heard at one venue, in order."""
        return [line for step in self.script for line in _lines(step, where)]


def _lines(step: Step | Only | str, where: Where) -> tuple[str, ...]:
    if isinstance(step, str):
        return (step,)
    return step.lines if isinstance(step, Only) and step.where is where else ()
