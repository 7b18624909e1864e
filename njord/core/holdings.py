"""What do the strategies have? Their open orders, what each has bought and sold, and a mirror of the account.

The order manager follows the engine's messages for all that are asked after it: a strategy's context shows it, sizing
counts on it, and so does who closes positions. Lots are whole and signed; fees in kind leave less than was bought.
"""

from collections.abc import Sequence
from decimal import Decimal

from njord.core.account import Account
from njord.core.contracts import VENUE, FillEvent
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrders
from njord.core.types import BUY, InstrumentKind
from njord.core.units import EXACT, ZERO

Owner = tuple[str, int]  # Strategy id, instrument.


class Holdings:
    """The open orders and the holdings of every strategy.

    Args:
        account: A mirror of the ledger's account, fed by its snapshots.
        instruments: All instruments of the run.

    Attributes:
        account: The same.
        working: All open orders.
        lots: By owner: bought less sold.
        fees_in_kind: By owner: what of it went into fees, in base.
    """

    __slots__ = ("_instruments", "account", "fees_in_kind", "lots", "working")

    def __init__(self, account: Account, instruments: Sequence[Instrument]) -> None:
        self.account = account
        self._instruments = instruments
        self.working = WorkingOrders()
        self.lots: dict[Owner, int] = {}
        self.fees_in_kind: dict[Owner, Decimal] = {}

    def fill(self, fill: FillEvent) -> None:
        """Follow a fill. The venue's own trade, a liquidation, closes what every strategy holds of the instrument."""
        self.working.fill(fill)
        index, strategy_id = fill.instrument, fill.strategy_id
        instrument = self._instruments[index]
        if strategy_id == VENUE:
            for owner in [owner for owner in self.lots if owner[1] == index]:
                del self.lots[owner]
                self.fees_in_kind.pop(owner, None)
            return
        owner = (strategy_id, index)
        lots = fill.qty_lots if fill.side is BUY else -fill.qty_lots
        self.lots[owner] = self.lots.get(owner, 0) + lots
        if fill.fee_asset == instrument.base and instrument.kind is InstrumentKind.SPOT:
            self.fees_in_kind[owner] = EXACT.add(self.fees_in_kind.get(owner, ZERO), fill.fee)

    def qty(self, owner: Owner, instrument: Instrument) -> Decimal:
        """Return what an owner's fills have left it of an instrument, in base, exact, negative when short."""
        bought = instrument.qty(self.lots.get(owner, 0))
        fees = self.fees_in_kind.get(owner)
        return bought if fees is None else EXACT.subtract(bought, fees)
