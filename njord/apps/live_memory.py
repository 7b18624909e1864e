"""What must a broker be told before it goes on with a session? Every order, and each symbol's last trade, from a host.

A live session that was opened again and a simulated life ask the same; the host knows it from the journal.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from njord.apps.live_host import LiveHost
from njord.core.instrument import Instrument
from njord.execution.gateway import request_of
from njord.execution.live_words import LiveOrder
from njord.venues.broker_wire import Amendment, KnownLeg, KnownOrder


def known_orders(host: LiveHost, instruments: Sequence[Instrument]) -> list[KnownOrder]:
    """Return what the journal says of every order of the session, oldest first."""
    return [_known(order, instruments) for order in host.words.orders.values()]


def _known(order: LiveOrder, instruments: Sequence[Instrument]) -> KnownOrder:
    event = order.event
    return KnownOrder(
        req=replace(
            request_of(event, instruments[event.instrument].symbol, event.ts_ns),
            qty_lots=order.qty_lots,
            limit_price_ticks=order.limit_price_ticks,
            trigger_price_ticks=order.trigger_price_ticks,
        ),
        legs=tuple(
            KnownLeg(
                revision=leg.revision,
                qty_lots=leg.qty_lots,
                venue_order_id=leg.venue_order_id,
                filled_lots=leg.filled_lots,
                trade_ids=tuple(leg.trade_ids),
            )
            for leg in order.legs
        ),
        has_ended=order.has_ended,
        n_amendments=order.n_amendments,
        amendments=tuple(
            Amendment(
                revision=revision,
                qty_lots=each.qty_lots,
                limit_price_ticks=each.limit_price_ticks,
                trigger_price_ticks=each.trigger_price_ticks,
                is_of_before=True,
            )
            for revision, each in order.pending.items()
        ),
    )


def last_trades(
    host: LiveHost, instruments: Sequence[Instrument], begun: Mapping[str, str]
) -> dict[str, str]:
    """Return the id of the last trade told by symbol; where none was told, that of `begun`.

    Args:
        host: Whose journal has been run again.
        instruments: All instruments of the run.
        begun: By symbol, the id of the account's last trade when the session began.
    """
    last = {symbol: int(trade_id) for symbol, trade_id in begun.items()}
    for index, trade_id in sorted(host.words.told_trades):
        symbol = instruments[index].symbol
        last[symbol] = max(last.get(symbol, -1), int(trade_id))
    return {symbol: str(trade_id) for symbol, trade_id in last.items()}
