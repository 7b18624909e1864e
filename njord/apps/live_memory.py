"""What must a broker be told before it goes on with a session? Every order, and each symbol's last trade, from a host.

A live session that was opened again and a simulated life ask the same; the host knows it from the journal.
"""

from collections.abc import Mapping, Sequence

from njord.apps.live_host import LiveHost
from njord.core.instrument import Instrument
from njord.execution.gateway import request_of
from njord.venues.broker_wire import KnownOrder


def known_orders(host: LiveHost, instruments: Sequence[Instrument]) -> list[KnownOrder]:
    """Return what the journal says of every order of the session, oldest first."""
    return [
        KnownOrder(
            req=request_of(order.event, instruments[order.event.instrument].symbol, order.event.ts_ns),
            venue_order_id=order.venue_order_id,
            filled_lots=order.filled_lots,
            trade_ids=tuple(order.trade_ids),
            has_ended=order.has_ended,
        )
        for order in host.words.orders.values()
    ]


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
