"""What may an account spend? Free and locked balances by asset: the only place where the exchange's money is kept.

An order locks what it could cost when it is placed, a fill takes from that lock, and what is left of it is free again when
the order ends. The simulated venue knows no locks: it books its fills here (`WalletAccount`) and asks here what they cost
(`WalletFees`). No balance is ever negative.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import OrderReason
from njord.core.units import BPS, EXACT, ZERO, quantum, ratio, round_down, round_up
from njord.exchange.rules import ASSET_DECIMALS
from njord.venues.fees import FeeMeter, FeeModel
from njord.venues.margin import CashAccount
from njord.venues.terms import VenueTerms

_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


class _Hold(msgspec.Struct):
    asset: str
    left: Decimal
    per_base: Decimal  # What the order locked for each whole unit of its quantity.


class Wallet:
    """Balances of one account.

    Args:
        opening: By asset, each >= 0.
    """

    def __init__(self, opening: Mapping[str, Decimal]) -> None:
        self._free = dict(opening)
        self._locked: dict[str, Decimal] = {}
        self._holds: dict[str, _Hold] = {}

    def assets(self) -> list[str]:
        """Return every asset that was ever held, by name."""
        return sorted(self._free.keys() | self._locked.keys())

    def free(self, asset: str) -> Decimal:
        """Return what may be spent."""
        return self._free.get(asset, ZERO)

    def locked(self, asset: str) -> Decimal:
        """Return what open orders hold."""
        return self._locked.get(asset, ZERO)

    def total(self, asset: str) -> Decimal:
        """Return all of an asset."""
        return _add(self.free(asset), self.locked(asset))

    def move(self, asset: str, amount: Decimal) -> bool:
        """Add to what is free, or take from it; False if that does not suffice, and then nothing has changed."""
        after = _add(self.free(asset), amount)
        if after < 0:
            return False
        self._free[asset] = after
        return True

    def lock(self, name: str, asset: str, qty: Decimal, per_base: Decimal) -> bool:
        """Lock what an order could cost; False if less is free.

        Args:
            name: The order's.
            asset: What it pays in.
            qty: Its quantity, in base.
            per_base: What each unit of that could cost.
        """
        amount = _multiply(qty, per_base)
        if not self.move(asset, amount.copy_negate()):
            return False
        self._locked[asset] = _add(self.locked(asset), amount)
        self._holds[name] = _Hold(asset, amount, per_base)
        return True

    def release(self, name: str) -> None:
        """Free what is left of an order's lock, when it has ended."""
        hold = self._holds.pop(name, None)
        if hold is not None:
            self._unlock(hold, hold.left)

    def may_pay(self, name: str, asset: str, cost: Decimal, qty: Decimal) -> bool:
        """Say whether an order can pay for `qty` of its quantity: from its own lock, or from what is free."""
        hold = self._holds.get(name)
        held = _multiply(qty, hold.per_base) if hold is not None else ZERO
        return _add(self.free(asset), held) >= cost

    def unlock(self, name: str, qty: Decimal) -> None:
        """Free what an order has locked for `qty` of its quantity, because that is paid now."""
        hold = self._holds.get(name)
        if hold is not None:
            self._unlock(hold, _multiply(qty, hold.per_base))

    def _unlock(self, hold: _Hold, amount: Decimal) -> None:
        if amount > hold.left:
            raise InvariantError(
                f"an order's lock holds {hold.left} {hold.asset}, and {amount} was to be freed"
            )
        hold.left = _subtract(hold.left, amount)
        self._locked[hold.asset] = _subtract(self.locked(hold.asset), amount)
        self._free[hold.asset] = _add(self.free(hold.asset), amount)


class WalletFees(FeeMeter):
    """What fills cost: a share of what is received, or by the operator's word of another asset.

    Args:
        model: The usual rates, of what is received.
        wallet: Who pays.
        price_of: What one unit of an asset is worth in a quote asset; None if nobody knows.

    Attributes:
        asset: What the next fees are charged in while it is held; None = in what is received.
        rate_bps: In force instead of the model's; None = the model's.
        due: Fee and asset of the fill that is being booked.
    """

    __slots__ = ("_maker_bps", "_price_of", "_taker_bps", "_wallet", "asset", "due", "rate_bps")

    def __init__(
        self, model: FeeModel, wallet: Wallet, price_of: Callable[[str, str], Decimal | None]
    ) -> None:
        super().__init__(model)
        self._maker_bps, self._taker_bps = model.maker_bps, model.taker_bps
        self._wallet = wallet
        self._price_of = price_of
        self.asset: str | None = None
        self.rate_bps: Decimal | None = None
        self.due = (ZERO, "")

    def charge(
        self, instrument: Instrument, notional: Decimal, qty: Decimal, sign: int, is_maker: bool, ts_ns: int
    ) -> tuple[Decimal, str]:
        """Return the fee of one fill and its asset; see FeeMeter.charge."""
        rate = self.rate_bps
        if rate is None:
            rate = self._maker_bps if is_maker else self._taker_bps
        third = self._in_third_asset(instrument, _multiply(notional, _multiply(rate, BPS)))
        if third is not None:
            self.due = third
            return third
        asset, received = (instrument.base, qty) if sign > 0 else (instrument.quote, notional)
        fee = _against_us(_multiply(received, _multiply(rate, BPS)))
        self.due = (min(fee, received), asset)  # Dust: no fill takes more than it brings.
        return self.due

    # An account without enough of the asset pays in what it receives.
    def _in_third_asset(self, instrument: Instrument, worth: Decimal) -> tuple[Decimal, str] | None:
        if self.asset is None or self.asset in (instrument.base, instrument.quote):
            return None
        price = self._price_of(self.asset, instrument.quote) or Decimal(1)
        fee = _against_us(ratio(worth, price))
        return (fee, self.asset) if fee <= self._wallet.free(self.asset) else None


class WalletAccount(CashAccount):
    """The simulated venue's account, whose books are a wallet's.

    Args:
        instruments: What can be traded.
        marks: Last prices, kept by the venue.
        terms: Of the venue.
        wallet: The books.
        fees: What the fill costs that is being booked.

    Attributes:
        filling: The order that is being filled.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        marks: list[int],
        terms: VenueTerms,
        wallet: Wallet,
        fees: WalletFees,
    ) -> None:
        super().__init__(instruments, ZERO, marks, terms)
        self.filling = ""
        self._wallet = wallet
        self._fees = fees

    def trade(
        self,
        index: int,
        signed_qty: Decimal,
        price_ticks: int,
        cost: Decimal,
        fee: Decimal,
        is_in_kind: bool,
        reduce_only: bool,
    ) -> OrderReason | None:
        """Book a fill, or return why it may not happen; see CashAccount.trade."""
        instrument, wallet = self._instruments[index], self._wallet
        qty, notional = signed_qty.copy_abs(), cost.copy_abs()
        is_buy = signed_qty > 0
        paid = (instrument.quote, notional) if is_buy else (instrument.base, qty)
        got = (instrument.base, qty) if is_buy else (instrument.quote, notional)
        if not wallet.may_pay(self.filling, *paid, qty):
            return OrderReason.INSUFFICIENT_FUNDS
        wallet.unlock(self.filling, qty)
        charged, asset = self._fees.due
        moves = ((paid[0], paid[1].copy_negate()), got, (asset, charged.copy_negate()))
        if not all([wallet.move(asset, amount) for asset, amount in moves]):
            raise InvariantError(f"a fill of {instrument.symbol} was booked that the account can not pay")
        return None


def _against_us(raw: Decimal) -> Decimal:
    step = quantum(ASSET_DECIMALS)
    return round_up(raw, step) if raw >= 0 else round_down(raw, step)
