"""Did every order fill on what came after it? A run's journal and its market in; the fills that could not be, out.

Noise after a cut finds nobody who trades at a price that was known already when the order was made. That a bar's
fills come from a bar that opened after the order was sent, and a tick's from a moment after it arrived, is asked here.
"""

from pathlib import Path

import msgspec

from njord.backtest.market import Market
from njord.core.contracts import VENUE
from njord.storage.journal_reader import read_blocks


class AcausalFill(msgspec.Struct, frozen=True, kw_only=True):
    """A fill by market data that began before its order could have been there.

    Attributes:
        seq: Place of the fill in the journal.
        order_ns: From when on the order could fill.
        began_ns: When the market data that filled it began: the bar's open, or the moment of the tick.
    """

    seq: int
    ts_ns: int
    strategy_id: str
    symbol: str
    client_order_id: str
    order_ns: int
    began_ns: int


class _Head(msgspec.Struct):
    ts_ns: int
    instrument: int
    strategy_id: str
    client_order_id: str
    ts_venue_ns: int = 0


_decode = msgspec.json.Decoder(_Head).decode
_ORDER, _FILL = b'{"kind":"OrderEvent"', b'{"kind":"FillEvent"'


def audit_fills(folder: Path, market: Market, entry_latency_ns: int = 0) -> tuple[int, list[AcausalFill]]:
    """Return how many fills the journal in `folder` holds, and those that came too early.

    Args:
        folder: The run's.
        market: What it ran on.
        entry_latency_ns: The least time that an order was under way; on bars only whole bars of it count.
    """
    intervals_ns = {source.instrument: source.interval_ns for source in market.sources}  # 0 of ticks.
    sent_ns: dict[str, int] = {}
    found: list[AcausalFill] = []
    n_fills = 0
    for block in read_blocks(folder / "journal"):
        for line in block.lines:
            if line.message.startswith(_ORDER):
                order = _decode(line.message)
                sent_ns[order.client_order_id] = order.ts_ns
            elif line.message.startswith(_FILL):
                fill = _decode(line.message)
                if fill.strategy_id == VENUE:
                    continue  # A liquidation has no order.
                n_fills += 1
                interval_ns = intervals_ns[fill.instrument]
                began_ns = min(fill.ts_venue_ns, fill.ts_ns - interval_ns)
                way_ns = entry_latency_ns // interval_ns * interval_ns if interval_ns else entry_latency_ns
                order_ns = sent_ns[fill.client_order_id] + way_ns
                if began_ns < order_ns:
                    found.append(_acausal(line.seq, fill, market, order_ns, began_ns))
    return n_fills, found


def _acausal(seq: int, fill: _Head, market: Market, order_ns: int, began_ns: int) -> AcausalFill:
    return AcausalFill(
        seq=seq,
        ts_ns=fill.ts_ns,
        strategy_id=fill.strategy_id,
        symbol=market.instruments[fill.instrument].symbol,
        client_order_id=fill.client_order_id,
        order_ns=order_ns,
        began_ns=began_ns,
    )
