"""What does the world do to an account? Its owner's hand, the venue's own will, and rights that are taken away.

Faults and tests act through it; over HTTP the same words are `POST /njord/operator {"do": "withdraw", "account": ...}`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, get_type_hints

import msgspec

from njord.core.errors import ConfigError
from njord.core.types import OrderType, Side
from njord.exchange import errors
from njord.exchange.orders import Order, Ticket
from njord.exchange.tickets import check_prices
from njord.exchange.trading import Account, Trading
from njord.exchange.user_stream import UserStreams
from njord.exchange.weights import Budgets

DEEDS: Final = (
    "place_by_hand", "cancel_by_venue", "deposit", "withdraw", "halt", "resume", "change_filters", "revoke_key",
    "forbid_trading", "restore_key", "set_clock_offset_ns", "expire_listen_keys", "drop_streams", "ban",
    "charge_fees_in",
)  # fmt: skip
_NEXT: Final = "see docs/local-exchange.md"


class Operator:
    """Acts on an exchange at its time of now.

    Args:
        trading: The accounts.
        users: Their streams.
        budgets: Who is banned.
        now_ns: The exchange's time, by the host's clock.
        drop: Cuts every connection.
    """

    def __init__(
        self,
        trading: Trading,
        users: UserStreams,
        budgets: Budgets,
        now_ns: Callable[[], int],
        drop: Callable[[], None],
    ) -> None:
        self._trading = trading
        self._users = users
        self._budgets = budgets
        self._now_ns = now_ns
        self._drop = drop

    def do(self, body: Mapping[str, Any]) -> None:
        """Do what plain data says: `do` names it, the rest are its arguments.

        Raises:
            ConfigError: There is no such deed, or an argument is missing, unknown or malformed.
            ApiError: The exchange does not allow it.
        """
        given = dict(body)
        name = given.pop("do", None)
        if name not in DEEDS:
            raise ConfigError(f"do must be one of {', '.join(DEEDS)}, was {name!r}", _NEXT)
        deed = getattr(self, name)
        hints = get_type_hints(deed)
        try:
            arguments = {
                key: msgspec.convert(value, hints[key], strict=False) for key, value in given.items()
            }
            for key, value in arguments.items():
                if isinstance(value, Decimal) and not value.is_finite():
                    raise ConfigError(f"{key} of {name} must be a finite number, was {value}", _NEXT)
            deed(**arguments)
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise ConfigError(f"the arguments of {name} are not right: {error}", _NEXT) from None

    # --- the owner ---

    def place_by_hand(
        self,
        account: str,
        symbol: str,
        side: Side,
        type: OrderType,
        qty: Decimal,
        price: Decimal | None = None,
        client_order_id: str = "",
    ) -> Order:
        """Place an order as its owner would in the venue's app: by quantity, a limit order until it is canceled.

        Raises:
            ApiError: The exchange refuses it.
        """
        rules = self._trading.rules.of(symbol)
        limit = rules.price_ticks(price) if price is not None else 0
        ticket = Ticket(
            rules=rules,
            client_id=client_order_id or self._trading.new_id().replace("venue", "hand"),
            side=side.value.upper(),
            type="LIMIT" if type is OrderType.LIMIT else "MARKET",
            qty_lots=rules.qty_lots(qty, is_market=not limit),
            limit_ticks=limit,
        )
        check_prices(self._trading, ticket)
        return self._trading.enter(self._account(account), ticket, self._now_ns())

    def deposit(self, account: str, asset: str, qty: Decimal) -> None:
        """Add to an account."""
        self._trading.transfer(self._account(account), asset, qty, self._now_ns())

    def withdraw(self, account: str, asset: str, qty: Decimal) -> None:
        """Take from what an account has free.

        Raises:
            ApiError: That does not suffice.
        """
        self._trading.transfer(self._account(account), asset, qty.copy_negate(), self._now_ns())

    # --- the venue ---

    def cancel_by_venue(self, account: str, client_order_id: str) -> bool:
        """End an open order as EXPIRED; False if it is not open any more."""
        owner = self._account(account)
        order = owner.by_client.get(client_order_id)
        if order is None or not order.is_open:
            return False
        self._trading.expire(owner, order, self._now_ns())
        return True

    def halt(self, symbol: str) -> None:
        """Stop a symbol: orders are refused, those that rest stay and do not fill."""
        self._trading.halt(symbol, self._now_ns())

    def resume(self, symbol: str) -> None:
        """Let a symbol trade again."""
        self._trading.resume(symbol, self._now_ns())

    def change_filters(
        self,
        symbol: str,
        tick: Decimal | None = None,
        lot: Decimal | None = None,
        min_notional: Decimal | None = None,
        max_market_qty: Decimal | None = None,
    ) -> None:
        """Put other filters in force for new orders.

        Raises:
            ConfigError: A step is finer than, or no multiple of, the step of the market data.
        """
        self._trading.rules.change(symbol, tick, lot, min_notional, max_market_qty)

    def charge_fees_in(self, account: str, asset: str | None = None, rate_bps: Decimal | None = None) -> None:
        """Charge fees in another asset while it is held, or at another rate (negative = rebate); None = as usual."""
        fees = self._account(account).venue.fees
        fees.asset, fees.rate_bps = asset, rate_bps

    def set_clock_offset_ns(self, offset_ns: int) -> None:
        """Let the exchange's clock be ahead of the host's by so much."""
        self._trading.clock_offset_ns = offset_ns

    # --- rights ---

    def revoke_key(self, key: str) -> None:
        """Take all rights of a key, and close its account's streams."""
        account = self._owner(key)
        account.may_read = account.may_trade = False
        self._users.revoked(account)

    def forbid_trading(self, key: str) -> None:
        """Let a key read only."""
        self._owner(key).may_trade = False

    def restore_key(self, key: str) -> None:
        """Give a key all its rights back."""
        account = self._owner(key)
        account.may_read = account.may_trade = True

    def ban(self, address: str, seconds: int) -> None:
        """Shut an address out for so long."""
        self._budgets.ban(address, seconds, self._now_ns())

    # --- streams ---

    def expire_listen_keys(self) -> None:
        """End every listen key, and every subscription by signature."""
        self._users.expire_all(self._now_ns())

    def drop_streams(self) -> None:
        """Cut every connection."""
        self._drop()

    def _account(self, name: str) -> Account:
        found = self._trading.accounts.get(name)
        if found is None:
            raise ConfigError(f"account must be one of {', '.join(self._trading.accounts)}, was {name!r}")
        return found

    def _owner(self, key: str) -> Account:
        found = self._trading.account_of(key)
        if found is None:
            raise errors.bad_key()
        return found
