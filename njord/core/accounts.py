"""Which account? From a run's terms to the account that keeps its books. Every holder of a mirror asks here."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from njord.core.account import ONE, Books, SpotAccount
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.perp_account import LinearPerpAccount

AccountKind = Literal["spot", "margin", "perpetual"]


class AccountTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kind of a run's account.

    Attributes:
        kind: spot = paid in full from own cash, contracts at 1x; margin = may borrow cash and inventory;
            perpetual = contracts settle by their profit, with margin and funding.
        leverage: How many times its margin a position may be worth; 1 on spot.
    """

    kind: AccountKind = "spot"
    leverage: Decimal = ONE


def make_account(
    terms: AccountTerms, instruments: Sequence[Instrument], report_asset: str, cash: Decimal
) -> Books:
    """Return a fresh account of the kind that `terms` name, with `cash` of `report_asset`.

    Raises:
        ConfigError: The kind is unknown, an instrument is quoted in another asset, or the leverage is not possible.
    """
    match terms.kind:
        case "spot":
            return SpotAccount(instruments, report_asset, cash, leverage=terms.leverage)
        case "margin":
            return SpotAccount(instruments, report_asset, cash, may_borrow=True, leverage=terms.leverage)
        case "perpetual":
            return LinearPerpAccount(instruments, report_asset, cash, terms.leverage)
        case _:
            raise ConfigError(f"account must be spot, margin or perpetual, was {terms.kind!r}")
