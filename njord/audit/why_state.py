"""What did a strategy hold in that moment? A system in; its position, cash, working orders and switch, told, out."""

from decimal import Decimal

import msgspec

from njord.audit.story import Line
from njord.audit.why_words import amount_text, order_words, price_text
from njord.core.contracts import VENUE
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrder
from njord.core.units import plain
from njord.strategies.hosted import HostedStrategy
from njord.system import System


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a strategy stands in one instrument.

    Attributes:
        own_qty: What its own fills have left of the position, in base.
        account_qty: Of the account, in base.
        working: Its open orders in that instrument, as copies.
        mark_ticks: The market's price; 0 while unknown.
        equity: In the report asset; None while a price is missing.
        switch: The kill switch's state and source, "unknown" before the first reading.
        n_bars: How many bars it has seen there; `warm_up` is how many it needs.
    """

    own_qty: Decimal
    account_qty: Decimal
    working: tuple[WorkingOrder, ...]
    mark_ticks: int
    cash: Decimal
    equity: Decimal | None
    switch: str
    is_switch_active: bool
    n_bars: int = 0
    warm_up: int = 0
    is_warm: bool = True
    is_suspended: bool = False
    is_venue: bool = False  # Nobody's own: the account as a whole.


def standing(system: System, strategy_id: str, index: int) -> Standing:
    """Return where a strategy stands now."""
    world, exposure = system.strategies.world, system.gate.exposure
    instrument, owner = exposure.instruments[index], (strategy_id, index)
    own = world.holdings.qty(owner, instrument)
    account, reading = system.ledger.account, exposure.kill_switch
    host = _host(system, strategy_id, index)
    return Standing(
        own_qty=own,
        account_qty=account.position(index).qty,
        working=tuple(
            msgspec.structs.replace(order)
            for order in exposure.working
            if order.instrument == index and order.strategy_id == strategy_id
        ),
        mark_ticks=exposure.mark_ticks[index],
        cash=account.cash,
        equity=account.equity(exposure.mark_ticks),
        switch="unknown" if reading is None else f"{reading.state}, says {reading.source}",
        is_switch_active=reading is not None and reading.state == "active",
        n_bars=0 if host is None else host.context.n_bars,
        warm_up=0 if host is None else host.context.warm_up,
        is_warm=host is None or host.context.is_warm,
        is_suspended=host is not None and host.is_suspended,
        is_venue=strategy_id == VENUE,
    )


def _host(system: System, strategy_id: str, index: int) -> HostedStrategy | None:
    for host in system.strategies.hosted:
        if (host.strategy_id, host.instrument) == (strategy_id, index):
            return host
    return None


def standing_lines(stood: Standing, instrument: Instrument, asset: str) -> tuple[Line, ...]:
    """Return what it held and had working, in lines without a time of their own."""
    held = f"It held {plain(stood.own_qty)} {instrument.base}"
    if stood.is_venue:
        held = f"It held {plain(stood.account_qty)} {instrument.base}"
    elif stood.account_qty != stood.own_qty:
        held += f", the account {plain(stood.account_qty)}"
    facts = (
        ("price", price_text(instrument, stood.mark_ticks)),
        ("cash", amount_text(stood.cash, asset)),
        ("equity", amount_text(stood.equity, asset)),
        ("kill switch", stood.switch),
    )
    lines = [Line(text=held, facts=facts)]
    lines += [
        Line(
            text=f"Working: {order_words(order, instrument)}",
            facts=(("order", order.client_order_id), ("status", str(order.status))),
        )
        for order in stood.working
    ]
    return tuple(lines)
