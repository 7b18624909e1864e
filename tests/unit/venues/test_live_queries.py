"""A query believes one fresh answer of the account that was asked for, and no other."""

import pytest

from njord.core.clock import ManualClock
from njord.venues.binance_dialect import Params, Unreadable
from njord.venues.broker_wire import Answer
from njord.venues.live_queries import LiveQueries
from tests.unit.exchange.exchange_case import BTC


class Account:
    """A venue that answers for account 7."""

    def ask(self, method: str, path: str, params: Params, within_s: float) -> Answer:
        body = b'{"balances":[{"asset":"USDT","free":"5","locked":"1"}],"updateTime":1,"uid":7}'
        return Answer(status=200, headers={}, body=body)


def test_balances_of_another_account_are_nobodys() -> None:
    queries = LiveQueries(Account, [BTC], ManualClock(0), 1.0)
    for expected in (0, 7):
        (held,) = queries.balances(expected)
        assert (held.asset, str(held.free), str(held.locked)) == ("USDT", "5", "1")
    with pytest.raises(Unreadable, match="asked for the balances of account 8, account 7 answered"):
        queries.balances(8)
