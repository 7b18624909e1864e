"""What does the venue admit at this time? The symbols' rules in force, and what is refused here before it is sent.

In comes exchangeInfo, again and again while a session lasts: a symbol may be halted, vanish, or get other steps. The
engine's ticks and lots stay those of its instruments; an order that the new steps would not admit is refused with its
reason.
"""

from collections.abc import Sequence

import msgspec

from njord.core.contracts import BrokerOrderReq
from njord.core.instrument import Instrument
from njord.core.types import LIMIT, OrderReason
from njord.core.units import EXACT
from njord.venues.binance_dialect import Unreadable, read, wire_symbol, wire_type
from njord.venues.binance_rows import SymbolRules, instrument_of
from njord.venues.history import VenueRefusal


class RateLimit(msgspec.Struct, frozen=True, rename="camel"):
    """One of the venue's limits."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class _ListedSymbol(SymbolRules, frozen=True, rename="camel"):
    status: str = ""
    order_types: tuple[str, ...] = ()


class ExchangeInfo(msgspec.Struct, frozen=True, rename="camel"):
    """exchangeInfo, as far as it is read."""

    symbols: list[_ListedSymbol]
    rate_limits: list[RateLimit] = []


class SymbolState(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol now: whether it trades, which order types it has, and its rules."""

    status: str
    order_types: tuple[str, ...]
    in_force: Instrument

    @property
    def is_trading(self) -> bool:
        """Whether the venue takes orders for it."""
        return self.status == "TRADING"


class Rules:
    """The rules of the symbols that are traded.

    Args:
        instruments: By index.
        venue: Its name in instruments.
    """

    def __init__(self, instruments: Sequence[Instrument], venue: str) -> None:
        self._instruments = instruments
        self._venue = venue
        self._names = {wire_symbol(each): index for index, each in enumerate(instruments)}
        self.states: dict[int, SymbolState] = {}
        self.rate_limits: list[RateLimit] = []

    @property
    def missing(self) -> tuple[str, ...]:
        """Symbols of ours that the venue does not list."""
        return tuple(each.symbol for index, each in enumerate(self._instruments) if index not in self.states)

    def follow(self, body: bytes) -> list[tuple[str, str]]:
        """Take exchangeInfo; return what has changed, as symbol and words.

        Raises:
            Unreadable: It is not that, or lists none of our symbols: what was known stays.
        """
        info = read(body, ExchangeInfo)
        states: dict[int, SymbolState] = {}
        for listed in info.symbols:
            index = self._names.get(listed.symbol)
            if index is None:
                continue
            ours = self._instruments[index]
            try:
                in_force = instrument_of(ours.symbol, self._venue, listed)
            except VenueRefusal as error:
                raise Unreadable(str(error)) from None
            states[index] = SymbolState(
                status=listed.status, order_types=listed.order_types, in_force=in_force
            )
        if not states:
            raise Unreadable("exchangeInfo lists none of our symbols")
        changes = [
            change for index in range(len(self._instruments)) for change in self._changes(index, states)
        ]
        self.states = states
        self.rate_limits = info.rate_limits or self.rate_limits
        return changes

    def _changes(self, index: int, states: dict[int, SymbolState]) -> list[tuple[str, str]]:
        before, after = self.states.get(index), states.get(index)
        symbol = self._instruments[index].symbol
        if after is None:
            return [(symbol, "not listed any more")] if before is not None or not self.states else []
        if before is None:
            return [] if after.is_trading else [(symbol, f"status {after.status}")]
        found = []
        if before.status != after.status:
            found.append((symbol, f"status {after.status}"))
        if before.in_force != after.in_force:
            found.append((symbol, "other filters"))
        return found

    def refuses(self, req: BrokerOrderReq) -> OrderReason | None:
        """Return why an order is not sent, None if it is."""
        state = self.states.get(req.instrument)
        if state is None or not state.is_trading:
            return OrderReason.SYMBOL_HALTED
        type_ = wire_type(req)
        if type_ is None or type_ not in state.order_types:
            return OrderReason.TYPE_NOT_OFFERED
        return self._filters(req, state.in_force)

    def _filters(self, req: BrokerOrderReq, in_force: Instrument) -> OrderReason | None:
        ours = self._instruments[req.instrument]
        qty = ours.qty(req.qty_lots)
        too_much = in_force.max_qty and qty > in_force.max_qty
        if qty <= 0 or qty < in_force.min_qty or too_much or EXACT.remainder(qty, in_force.lot_size):
            return OrderReason.FILTER_QTY
        if req.type.has_limit is not (req.limit_price_ticks > 0):
            return OrderReason.FILTER_PRICE
        if req.type.has_trigger is not (req.trigger_price_ticks > 0):
            return OrderReason.FILTER_TRIGGER
        if EXACT.remainder(ours.price(req.limit_price_ticks), in_force.tick_size):
            return OrderReason.FILTER_PRICE
        if EXACT.remainder(ours.price(req.trigger_price_ticks), in_force.tick_size):
            return OrderReason.FILTER_TRIGGER
        # A market order's worth is the venue's to say: it has no price yet.
        if req.type is LIMIT and ours.notional(req.limit_price_ticks, req.qty_lots) < in_force.min_notional:
            return OrderReason.FILTER_NOTIONAL
        return None
