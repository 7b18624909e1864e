"""Did this fill close something at a loss? In come the ledger's snapshots, out goes yes or no, net of fees.

The result of a closing fill is the change in realized profit (average cost), minus the fee of that fill, minus the
share of the entry fees that belongs to what was closed. A fee in an asset that nothing here can price is unknown and
left out; equity is then unknown too, and the limits measured with it refuse by themselves.
"""

from decimal import Decimal

import msgspec

from njord.core.contracts import PositionSnapshot
from njord.core.units import EXACT, ZERO, quantum, round_half_even, share

_FEE_QUANTUM = quantum(18)
_add, _subtract = EXACT.add, EXACT.subtract


class _Seen(msgspec.Struct):
    qty: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    entry_fees: Decimal = ZERO  # Of the position that is open now.


class LossWatch:
    """Follows each instrument's position and the fees that were paid to enter it."""

    __slots__ = ("_seen",)

    def __init__(self, n_instruments: int) -> None:
        self._seen = [_Seen() for _ in range(n_instruments)]

    def closed_at_loss(self, snapshot: PositionSnapshot) -> bool:
        """Follow one snapshot; say whether it closed part of a position for less than it cost, fees included."""
        seen = self._seen[snapshot.instrument]
        before, after = seen.qty, snapshot.qty
        fee = _subtract(snapshot.fees, seen.fees)
        gain = _subtract(snapshot.realized_pnl, seen.realized_pnl)
        seen.qty, seen.realized_pnl, seen.fees = after, snapshot.realized_pnl, snapshot.fees
        flips = bool(before and after) and before.is_signed() is not after.is_signed()
        if not flips and after.copy_abs() >= before.copy_abs():
            seen.entry_fees = _add(seen.entry_fees, fee)
            return False
        if flips:
            exit_fee = _share(fee, before.copy_abs(), _add(before.copy_abs(), after.copy_abs()))
            entry_fee, left = seen.entry_fees, _subtract(fee, exit_fee)
        else:
            exit_fee, closed = fee, _subtract(before.copy_abs(), after.copy_abs())
            entry_fee = _share(seen.entry_fees, closed, before.copy_abs())
            left = _subtract(seen.entry_fees, entry_fee)
        seen.entry_fees = left
        return gain < _add(entry_fee, exit_fee)


def _share(fees: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    if part == whole:
        return fees
    return round_half_even(share(fees, part, whole), _FEE_QUANTUM)
