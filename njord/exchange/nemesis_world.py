"""Trouble that is real: what the venue or the account's owner does, which the truth ledger then has."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from njord.core.errors import NjordError
from njord.core.instrument import Instrument
from njord.core.types import MARKET, Side
from njord.core.units import EXACT, NS_PER_MS
from njord.exchange.nemesis import Trouble, innermost, is_event
from njord.exchange.wire import Frame

THIRD_ASSET: Final = "BNB"
_FINENESS: Final = 10  # A changed tick is so many times as coarse.


class VenueCancel(Trouble):
    """A8: what is left of an order that has filled in part is canceled by the venue."""

    def begin(self, now_ns: int) -> None:
        """Nothing is to be canceled yet."""
        self._due: list[str] = []

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Notice a partial fill."""
        is_partial = is_event(frame.text, "PARTIALLY_FILLED") and is_event(frame.text, "executionReport")
        if is_partial and self.may_strike() and self.random.random() < self.spec.share:
            self._due.append(innermost(msgspec.json.decode(frame.text or ""))["c"])
            self.wake_ns = now_ns + NS_PER_MS
        return (frame,)

    def wake(self, now_ns: int) -> None:
        """Cancel what is left, where anything is."""
        due, self._due = self._due, []
        operator = self.setting.exchange.operator
        for client_order_id in due:
            self.n_struck += sum(
                operator.cancel_by_venue(name, client_order_id) for name in self.setting.accounts
            )


class OtherFees(Trouble):
    """A12: fees are charged in a third asset, or are a rebate."""

    def begin(self, now_ns: int) -> None:
        """Charge them so from now on."""
        self.n_struck += 1
        rate_bps = Decimal(str(self.number("rate_bps")))
        is_rebate = self.form() == "rebate"
        for account in self.setting.accounts:
            asset = None if is_rebate else THIRD_ASSET
            self.setting.exchange.operator.charge_fees_in(
                account, asset, -rate_bps if is_rebate else rate_bps
            )


class WrongClock(Trouble):
    """A17: the venue's clock is wrong by some seconds."""

    def begin(self, now_ns: int) -> None:
        """Set it wrong."""
        self.n_struck += 1
        self.setting.exchange.operator.set_clock_offset_ns(self.number_ns("offset_s"))

    def end(self, now_ns: int) -> None:
        """Set it right."""
        self.setting.exchange.operator.set_clock_offset_ns(0)


class ChangedSymbol(Trouble):
    """A19: a symbol is halted, or its filters change."""

    def begin(self, now_ns: int) -> None:
        """Halt or change one symbol."""
        self.n_struck += 1
        self._form = self.form()
        self._instrument = instrument = self.random.choice(self.setting.instruments)
        operator, symbol = self.setting.exchange.operator, instrument.base + instrument.quote
        if self._form == "halt":
            operator.halt(symbol)
        else:
            operator.change_filters(
                symbol, tick=instrument.tick_size * _FINENESS, lot=instrument.lot_size * _FINENESS
            )

    def end(self, now_ns: int) -> None:
        """Put it back."""
        operator, instrument = self.setting.exchange.operator, self._instrument
        symbol = instrument.base + instrument.quote
        if self._form == "halt":
            operator.resume(symbol)
        else:
            operator.change_filters(symbol, tick=instrument.tick_size, lot=instrument.lot_size)


class LostKey(Trouble):
    """A20: the key is revoked, or may no longer trade."""

    def begin(self, now_ns: int) -> None:
        """Take its rights."""
        self.n_struck += 1
        operator, form = self.setting.exchange.operator, self.form()
        for key in self.setting.keys:
            if form == "revoke":
                operator.revoke_key(key)
            else:
                operator.forbid_trading(key)

    def end(self, now_ns: int) -> None:
        """Give them back."""
        for key in self.setting.keys:
            self.setting.exchange.operator.restore_key(key)


class OwnersHand(Trouble):
    """A21: the account's owner trades, deposits and withdraws by hand."""

    def begin(self, now_ns: int) -> None:
        """Do the first thing at once."""
        self.wake(now_ns)

    def wake(self, now_ns: int) -> None:
        """Do one thing on one account."""
        self.wake_ns = now_ns + max(1, self.number_ns("every_s"))
        account = self.random.choice(self.setting.accounts)
        instrument = self.random.choice(self.setting.instruments)
        if not self._last_ticks(instrument) or not self.strikes():
            return
        try:
            self._act(account, instrument)
        except NjordError:
            self.n_struck -= 1  # The account does not allow it now.

    def _last_ticks(self, instrument: Instrument) -> int:
        return self.setting.exchange.market.last_price_ticks(self.setting.instruments.index(instrument))

    def _act(self, account: str, instrument: Instrument) -> None:
        exchange, form, random = self.setting.exchange, self.form(), self.random
        worth = Decimal(random.randrange(15, 60))
        if form == "deposit":
            exchange.operator.deposit(account, instrument.quote, worth)
        elif form == "withdraw":
            exchange.operator.withdraw(account, instrument.quote, worth)
        else:
            lots = int(EXACT.divide_int(worth, instrument.notional(self._last_ticks(instrument), 1)))
            side = random.choice((Side.BUY, Side.SELL))
            symbol = instrument.base + instrument.quote
            exchange.operator.place_by_hand(account, symbol, side, MARKET, instrument.qty(max(1, lots)), None)
