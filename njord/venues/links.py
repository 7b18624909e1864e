"""Which orders hang together? Groups of which one cancels the other, and the exits that wait for an entry.

Names only: what a fill does to the linked orders is the desk's business. A group and an entry's losses are remembered
after their orders have ended, because with latency an order may arrive after what it is linked to has filled.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from njord.core.contracts import BrokerOrderReq
from njord.core.instrument import Instrument
from njord.core.units import EXACT, ZERO
from njord.venues.working import Working


class _Group(msgspec.Struct):
    members: list[str]
    filled_lots: int = 0


class Links:
    """All links of one venue; `is_used` stays False until the first one."""

    __slots__ = ("_exits", "_groups", "_lost", "is_used")

    def __init__(self) -> None:
        self.is_used = False
        self._groups: dict[str, _Group] = {}
        self._exits: dict[str, list[str]] = {}
        self._lost: dict[str, tuple[Decimal, Instrument]] = {}  # Fees in kind, by entry.

    def add(self, req: BrokerOrderReq) -> None:
        """Take in an order that was accepted."""
        if req.group_id:
            self.is_used = True
            self._groups.setdefault(req.group_id, _Group([])).members.append(req.client_order_id)
        if req.after_client_order_id:
            self.is_used = True
            self._exits.setdefault(req.after_client_order_id, []).append(req.client_order_id)

    def exits(self, entry_id: str) -> Sequence[str]:
        """Return the ids of an entry's exits."""
        return self._exits.get(entry_id, ())

    def filled(self, order: Working, lots: int) -> Iterator[str]:
        """Count a fill, and return the ids of the others in its group."""
        group = self._groups.get(order.req.group_id)
        if group is None:
            return iter(())
        group.filled_lots += lots
        own = order.req.client_order_id
        return iter([name for name in group.members if name != own])

    def filled_in(self, group_id: str) -> int:
        """Return what a group has filled in all, 0 if there is none of that name."""
        group = self._groups.get(group_id)
        return group.filled_lots if group is not None else 0

    def lost_in_kind(self, entry_id: str, fee: Decimal, instrument: Instrument) -> None:
        """Count a fee that was taken out of what an order bought: its exits can not sell that."""
        lost = self._lost.get(entry_id, (ZERO, instrument))[0]
        self._lost[entry_id] = (EXACT.add(lost, fee), instrument)

    def left_to_close(self, req: BrokerOrderReq, own_lots: int, entry_lots: int) -> int:
        """Return what an exit that has filled `own_lots` may still close of an entry that has filled `entry_lots`."""
        closed = self.filled_in(req.group_id) if req.group_id else own_lots
        lost = 0
        if req.after_client_order_id in self._lost:
            fee, instrument = self._lost[req.after_client_order_id]
            whole, rest = EXACT.divmod(fee, instrument.lot_size)
            lost = max(0, int(whole) + (1 if rest > 0 else 0))
        return entry_lots - lost - closed
