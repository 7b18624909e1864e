"""What does the venue say when it is asked right now? For checks and contract cards; the order path never asks here.

Each query waits for one fresh, whole answer of the form that was asked for, and raises otherwise: an empty list means
that there is nothing, never that nobody knows.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from msgspec.structs import replace

from njord.core.clock import Clock
from njord.core.contracts import BalanceSnapshot, BrokerFill, BrokerOrderUpdate
from njord.core.errors import ConfigError, VenueError, VenueRejected, VenueUnavailable
from njord.core.ids import order_of
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, OrderType, TimeInForce
from njord.venues.binance_dialect import (
    TRADES_PAGE,
    WIRE_TIFS,
    WIRE_TYPES,
    Params,
    Reader,
    Unreadable,
    WireAccount,
    WireOrder,
    WireTime,
    WireTrade,
    balances,
    ms_to_ns,
    read,
)
from njord.venues.binance_errors import Meaning, judge
from njord.venues.binance_orders import fill_word, own_end
from njord.venues.binance_rows import parse_steps
from njord.venues.binance_rules import Rules
from njord.venues.broker_wire import Answer, NoAnswer

_PAGES_MAX = 1000
_TIFS = {name: tif for tif, name in WIRE_TIFS.items()}
_TYPES = {name: type_ for type_, name in WIRE_TYPES.items()} | {"LIMIT_MAKER": OrderType.LIMIT}
_Form = TypeVar("_Form")
_TROUBLES = frozenset({Meaning.UNSENT, Meaning.UNKNOWN, Meaning.SLOW_DOWN, Meaning.BANNED, Meaning.CLOCK})


class Asker(Protocol):
    """Who asks the venue and waits."""

    def ask(self, method: str, path: str, params: Params, within_s: float) -> Answer | NoAnswer:
        """Ask; never raises for what the venue does."""


class _Order(WireOrder, frozen=True, rename="camel"):
    type: str = ""
    time_in_force: str = ""
    price: str = "0"
    stop_price: str = "0"


class LiveQueries:
    """Queries of one account.

    Args:
        asker: Returns who asks; raises VenueUnavailable while nobody does.
        instruments: The symbols that may be asked for.
        clock: The host's.
        within_s: How long a query waits.
    """

    def __init__(
        self, asker: Callable[[], Asker], instruments: Sequence[Instrument], clock: Clock, within_s: float
    ) -> None:
        self._asker = asker
        self._instruments = instruments
        self._clock = clock
        self._within_s = within_s
        self._readers = {each.symbol: Reader(each) for each in instruments}

    def order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return one order as the venue has it under that very name, None if it does not know it now.

        Of an order that was amended that is its first leg; `open_orders` has the one that works.
        """
        reader = self._reader(symbol)
        answer = self._ask("order", (("symbol", reader.symbol), ("origClientOrderId", client_order_id)))
        if judge(answer).meaning in (Meaning.ABSENT, Meaning.ARCHIVED):
            return None
        update = _update(reader, self._read(answer, _Order))
        if update.client_order_id != client_order_id:
            raise Unreadable(f"asked for order {client_order_id}, got another")
        return update

    def trades(self, symbol: str, after_trade_id: str) -> list[BrokerFill]:
        """Return the account's fills after a trade id (empty = from the first one on), oldest first."""
        reader = self._reader(symbol)
        next_id = int(after_trade_id) + 1 if after_trade_id else 0
        found: list[BrokerFill] = []
        names: dict[int, str] = {}  # The venue's order id -> ours: its trades name the former only.
        for _ in range(_PAGES_MAX):
            params = (("symbol", reader.symbol), ("fromId", str(next_id)), ("limit", str(TRADES_PAGE)))
            rows = self._read(self._ask("myTrades", params), list[WireTrade])
            rows = sorted((row for row in rows if row.id >= next_id), key=lambda row: row.id)
            for row in rows:
                if row.order_id not in names:
                    names[row.order_id] = self._name(reader, row.order_id)
                found.append(fill_word(order_of(names[row.order_id]), reader.trade(row)))
            if len(rows) < TRADES_PAGE:
                return found
            next_id = rows[-1].id + 1
        raise VenueUnavailable(f"more than {_PAGES_MAX} pages of trades of {symbol}")

    def open_orders(self, symbol: str | None) -> list[BrokerOrderUpdate]:
        """Return all working orders of one symbol, or of all that are traded here; an amended one under its own name."""
        params: Params = () if symbol is None else (("symbol", self._reader(symbol).symbol),)
        readers = {reader.symbol: reader for reader in self._readers.values()}
        rows = self._read(self._ask("openOrders", params), list[_Order])
        updates = [_update(readers[row.symbol], row) for row in rows if row.symbol in readers]
        return [replace(each, client_order_id=order_of(each.client_order_id)) for each in updates]

    def balances(self, account_uid: int) -> tuple[BalanceSnapshot, ...]:
        """Return what the account of that number holds; 0 = of whichever answers."""
        account = self._read(self._ask("account", ()), WireAccount)
        if account_uid and account.uid != account_uid:
            raise Unreadable(
                f"asked for the balances of account {account_uid}, account {account.uid} answered"
            )
        return balances(account)

    def server_time(self) -> int:
        """Return the venue's clock, in epoch ns."""
        return ms_to_ns(self._read(self._ask("time", ()), WireTime).server_time)

    def rules(self) -> list[Instrument]:
        """Return the instruments with the rules in force."""
        answer = self._ask("exchangeInfo", ())
        if judge(answer).meaning is not Meaning.DONE:
            raise _trouble(answer)
        rules = Rules(self._instruments, self._instruments[0].venue)
        rules.follow(_body(answer))
        if rules.missing:
            raise VenueRejected(f"the venue does not list {', '.join(rules.missing)}")
        return [rules.states[index].in_force for index in range(len(self._instruments))]

    def _name(self, reader: Reader, order_id: int) -> str:
        params = (("symbol", reader.symbol), ("orderId", str(order_id)))
        row = self._read(self._ask("order", params), WireOrder)
        if row.order_id != order_id:
            raise Unreadable(f"asked for order {order_id}, got another")
        return row.client_order_id

    def _reader(self, symbol: str) -> Reader:
        reader = self._readers.get(symbol)
        if reader is None:
            raise ConfigError(f"{symbol} is not traded here", f"known are {', '.join(self._readers)}")
        return reader

    def _ask(self, path: str, params: Params) -> Answer | NoAnswer:
        return self._asker().ask("GET", path, params, self._within_s)

    def _read(self, answer: Answer | NoAnswer, form: type[_Form]) -> _Form:
        if judge(answer).meaning is not Meaning.DONE:
            raise _trouble(answer)
        return read(_body(answer), form)


def _body(answer: Answer | NoAnswer) -> bytes:
    return b"" if isinstance(answer, NoAnswer) else answer.body


def _trouble(answer: Answer | NoAnswer) -> VenueError:
    verdict = judge(answer)
    return (VenueUnavailable if verdict.meaning in _TROUBLES else VenueRejected)(verdict.evidence)


def _update(reader: Reader, row: _Order) -> BrokerOrderUpdate:
    view = reader.order(row)
    type_ = _TYPES.get(row.type)
    if type_ is None:
        raise Unreadable(f"no order type: {row.type[:30]!a}")
    status, reason = view.status, OrderReason.NONE
    if row.status == "EXPIRED" and (ended := own_end(type_, _TIFS.get(row.time_in_force, TimeInForce.GTC))):
        status, reason = OrderStatus.CANCELED, ended
    elif status is OrderStatus.CANCELED:
        reason = OrderReason.VENUE_CANCELED
    return BrokerOrderUpdate(
        client_order_id=view.client_order_id,
        venue_order_id=view.order_id,
        symbol=reader.instrument.symbol,
        side=view.side,
        type=type_,
        status=status,
        reason=reason,
        qty_lots=view.lots,
        filled_lots=view.executed_lots,
        limit_price_ticks=_ticks(reader, row.price),
        ts_venue_ns=view.ts_venue_ns,
        trigger_price_ticks=_ticks(reader, row.stop_price),
    )


def _ticks(reader: Reader, text: str) -> int:
    instrument = reader.instrument
    try:
        ticks, _ = parse_steps(text, instrument.tick_scale, instrument.tick_multiple)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    return ticks
