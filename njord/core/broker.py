"""IBroker: what a venue must be able to do for us. Only the gateway calls it."""

from collections.abc import Sequence
from typing import Protocol

from njord.core.contracts import (
    BalanceSnapshot,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerReply,
)
from njord.core.instrument import Instrument


class IBroker(Protocol):
    """A venue's order side. Synchronous: a live host runs it in a worker thread.

    A query that fails raises `VenueError` and never returns empty: an empty answer means that there is nothing.
    """

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Send one order. WARNING: after an Unknown never send again under another id; fetch the order instead."""

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        """Ask for a cancel; the order is canceled when its update says so, not when this returns."""

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        """Ask for a change in place; what holds is what the order's update says."""

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return one order as the venue knows it, None if it never had it."""

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        """Return the account's fills of `symbol` after a trade id, oldest first."""

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        """Return all working orders, of one symbol or of all."""

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Return what the account holds, by asset."""

    def server_time(self) -> int:
        """Return the venue's clock in nanoseconds since the epoch."""

    def exchange_rules(self) -> Sequence[Instrument]:
        """Return the instruments with the rules in force."""
