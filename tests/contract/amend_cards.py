"""How an order is changed: in place at the simulated venue, by another one in its place at Binance.US."""

from njord.core.types import BUY, LIMIT, SELL
from tests.contract.cards import (
    EXCHANGE_ONLY,
    ORDERS_THERE,
    Amend,
    Cancel,
    Card,
    Fault,
    Killed,
    Market,
    Order,
    Passes,
    Print,
    Resumed,
    Setup,
    exchange,
    simulated,
)

_REPLACED = "Binance.US changes no order in place: another one takes its place"
_NO_TROUBLE = "The simulated venue answers everything, at once, in one process with its host."
_BLIND = Setup(stream="none")

CARDS = (
    Card(
        number=17,
        title="An amendment is told by the order's own update, and the order keeps its name",
        script=(
            Order(name="a", side=BUY, qty="2", type=LIMIT, price="95"),
            "a accepted",
            Amend(name="a", qty="1"),
            "a accepted AMENDED, holds 1 at 95",
            Amend(name="a", price="96"),
            "a accepted AMENDED, holds 1 at 96",
            Cancel(name="a"),
            "a canceled CANCEL_REQUESTED",
        ),
    ),
    Card(
        number=101,
        title="Of an amended order what has filled counts, and only what is left goes on",
        script=(
            Order(name="a", side=BUY, qty="3", type=LIMIT, price="100"),
            "a accepted",
            Market(prints=(Print(SELL, "1", "100"),)),
            "a buys 1 at 100, maker, fee 0.001 BTC",
            Amend(name="a", qty="5", price="99.0"),
            "a partially_filled AMENDED, 1 filled, holds 5 at 99",
            Cancel(name="a"),
            "a canceled CANCEL_REQUESTED, 1 filled",
        ),
    ),
    Card(
        number=102,
        title="An amendment that changes nothing is refused, and the order stands",
        script=(
            Order(name="a", side=BUY, qty="2", type=LIMIT, price="95"),
            "a accepted",
            Amend(name="a", qty="2", price="95"),
            "a accepted AMEND_REFUSED, holds 2 at 95",
        ),
    ),
    Card(
        number=103,
        title="Fewer lots at the same price keep their place in the queue only where an order is changed in place",
        script=(
            Order(name="a", side=BUY, qty="2", type=LIMIT, price="99"),
            "a accepted",
            Market(prints=(Print(SELL, "4", "99"),)),
            Amend(name="a", qty="1"),
            "a accepted AMENDED, holds 1 at 99",
            Market(prints=(Print(SELL, "2", "99"),)),
            simulated("a buys 1 at 99, maker, fee 0.001 BTC"),
            simulated("a filled, 1 filled"),
        ),
        why=f"{_REPLACED}, behind all others at its price.",
    ),
    Card(
        number=104,
        title="A post-only order that is amended to a price at which it would take",
        script=(
            Order(name="a", side=BUY, qty="1", type=LIMIT, price="95", post_only=True),
            "a accepted",
            Amend(name="a", price="101"),
            simulated("a accepted AMEND_REFUSED, holds 1 at 95"),
            exchange("a canceled POST_ONLY_WOULD_TAKE"),
        ),
        why=f"{_REPLACED}: the old one is gone when the new one is refused.",
    ),
    Card(
        number=105,
        title="An amendment whose answer is lost leaves the order UNKNOWN, and a question finds what holds",
        script=(
            Order(name="a", side=BUY, qty="2", type=LIMIT, price="95"),
            "a accepted",
            Fault(
                fault="A4",
                told="one order is done and answered with a 5xx",
                params={"count": 1, "params": {"done_share": 1}},
            ),
            Amend(name="a", price="96"),
            "a unknown OUTCOME_UNKNOWN",
            "a accepted AMENDED, holds 2 at 96",
        ),
        where=EXCHANGE_ONLY,
        why=_NO_TROUBLE,
        setup=_BLIND,
    ),
    Card(
        number=106,
        title="An amendment that was not done is refused once it can not arrive any more, and the order stands",
        script=(
            Order(name="a", side=BUY, qty="2", type=LIMIT, price="95"),
            "a accepted",
            Fault(
                fault="A4",
                told="one order is not done and answered with a 5xx",
                params={"count": 1, "params": {"done_share": 0}},
            ),
            Amend(name="a", price="96"),
            "a unknown OUTCOME_UNKNOWN",
            Passes(seconds=120),
            "a accepted AMEND_REFUSED, holds 2 at 95",
        ),
        where=EXCHANGE_ONLY,
        why=_NO_TROUBLE,
        setup=_BLIND,
    ),
    Card(
        number=107,
        title="After a restart an amended order goes on under its name, and its later fill is told once",
        script=(
            Order(name="a", side=BUY, qty="3", type=LIMIT, price="100"),
            "a accepted",
            Market(prints=(Print(SELL, "1", "100"),)),
            "a buys 1 at 100, maker, fee 0.001 BTC",
            Amend(name="a", qty="4"),
            "a partially_filled AMENDED, 1 filled, holds 4 at 100",
            Killed(),
            Resumed(),
            "connection: active",
            Market(prints=(Print(SELL, "5", "100"),)),
            "a buys 3 at 100, maker, fee 0.003 BTC",
            "a filled, 4 filled",
            ORDERS_THERE,
            "orders at the venue: done, done",
        ),
        where=EXCHANGE_ONLY,
        why="The simulated venue dies with its session, and is rebuilt from the journal.",
        setup=Setup(),
    ),
)
