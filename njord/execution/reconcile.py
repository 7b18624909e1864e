"""Where do our books and the venue's balances differ? Both in; a list of differences out, empty where they agree.

To the last unit: money is exact. Assets that nothing of the run trades are not ours to judge.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from njord.core.account import Account
from njord.core.contracts import BalanceSnapshot
from njord.core.instrument import Instrument
from njord.core.units import EXACT, ZERO


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of which the venue holds something else than our books say.

    Attributes:
        instrument: Whose base it is; -1 for the report asset.
    """

    asset: str
    instrument: int
    ours: Decimal
    theirs: Decimal

    @property
    def amount(self) -> Decimal:
        """What is missing from our books; negative where they say too much."""
        return EXACT.subtract(self.theirs, self.ours)


def differences(
    balances: Iterable[BalanceSnapshot], account: Account, instruments: Sequence[Instrument]
) -> list[Difference]:
    """Return the assets on which books and venue disagree, the report asset first, then by instrument.

    An asset that the venue does not list is one that it holds nothing of.

    Args:
        balances: All of the account, free and locked.
        account: Our books.
        instruments: What the run trades.
    """
    held = {each.asset: EXACT.add(each.free, each.locked) for each in balances}
    ours = account.balances()
    assets = {account.report_asset: -1}
    for index, instrument in enumerate(instruments):
        assets.setdefault(instrument.base, index)
    return [
        Difference(asset=asset, instrument=index, ours=ours.get(asset, ZERO), theirs=held.get(asset, ZERO))
        for asset, index in assets.items()
        if ours.get(asset, ZERO) != held.get(asset, ZERO)
    ]
