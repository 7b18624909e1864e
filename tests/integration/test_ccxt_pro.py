"""The unmodified `ccxt.pro.binanceus` trades at the local exchange over real sockets, and is told what really happened.

Whatever it places, cancels, replaces, asks for or watches is held against the exchange's truth ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from importlib import import_module
from itertools import groupby, pairwise
from typing import Any

import pytest

from tests.integration.ccxt_world import (
    BALANCES,
    SYMBOL,
    Leaping,
    World,
    balances_said,
    balances_true,
    order_said,
    order_true,
    synthetic,
    trade_said,
    trade_true,
    with_ccxt,
)
from tests.unit.exchange.faulty_exchange import BTC

pytestmark = pytest.mark.integration

WAYS = ["rest", "websocket_api"]
# Kind, side, price beside the last one, quantity, parameters (prices as factors too), how it stands after it was placed.
ORDERS: list[tuple[str, str, float | None, float, dict[str, Any], str]] = [
    ("limit", "buy", 0.9, 0.01, {}, "open"),
    ("LIMIT_MAKER", "sell", 1.1, 0.01, {}, "open"),
    ("limit", "buy", 1.05, 0.02, {"timeInForce": "IOC"}, "closed"),
    ("limit", "buy", 1.05, 0.02, {"timeInForce": "FOK"}, "closed"),
    ("limit", "buy", 0.9, 0.01, {"timeInForce": "IOC"}, "expired"),
    ("limit", "buy", 0.9, 0.01, {"timeInForce": "FOK"}, "expired"),
    ("STOP_LOSS_LIMIT", "sell", 0.9, 0.01, {"stopPrice": 0.95}, "open"),
    ("TAKE_PROFIT_LIMIT", "sell", 1.1, 0.01, {"stopPrice": 1.05}, "open"),
    ("market", "buy", None, 0.03, {}, "closed"),
    ("market", "sell", None, 0.015, {}, "closed"),
    ("STOP_LOSS", "sell", None, 0.01, {"stopPrice": 0.95}, "open"),
    ("TAKE_PROFIT", "sell", None, 0.01, {"stopPrice": 1.05}, "open"),
]

# What a watcher is not told of is what it was.
UNTOUCHED = {asset: {"free": float(amount), "used": 0.0} for asset, amount in BALANCES.items()}


class Watching:
    """What CCXT's watchers have said so far."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.orders: dict[str, list[dict[str, Any]]] = {}
        self.trades: list[dict[str, Any]] = []
        self.balance: dict[str, Any] = {}
        watchers = (self._orders, self._trades, self._balance)
        self._tasks = [asyncio.ensure_future(_forever(watcher)) for watcher in watchers]

    async def __aenter__(self) -> "Watching":
        await self._world.until(lambda: any(_subscribes(each) for each in self._world.truth["requests"]))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _orders(self) -> None:
        for order in await self._world.client.watch_orders(SYMBOL):
            self.orders.setdefault(order["id"], []).append(dict(order))

    async def _trades(self) -> None:
        self.trades += await self._world.client.watch_my_trades(SYMBOL)

    async def _balance(self) -> None:
        self.balance = await self._world.client.watch_balance()

    def agrees(self) -> bool:
        """Say whether it has come to what really is."""
        truth = self._world.truth
        return (
            [order_said(told[-1]) for _, told in sorted(self.orders.items(), key=_number)]
            == [order_true(each) for each in truth["orders"]]
            and [trade_said(each) for each in self.trades] == [trade_true(each) for each in truth["trades"]]
            and balances_said({**UNTOUCHED, **self.balance}) == balances_true(truth)
        )


async def _forever(watch: Callable[[], Awaitable[None]]) -> None:
    while True:
        await watch()


def _number(item: tuple[str, object]) -> int:
    return int(item[0])


def _subscribes(request: dict[str, Any]) -> bool:
    return bool(request["path"] == "userDataStream.subscribe.signature" and request["status"] == 200)


async def place(world: World, number: int, way: str) -> dict[str, Any]:
    """Place an order of the table by REST, or by the WebSocket API."""
    kind, side, factor, amount, params, _ = ORDERS[number]
    given: dict[str, Any] = {"newClientOrderId": f"NJ-{number}"}
    for name, value in params.items():
        given[name] = world.price(value) if name.endswith("Price") else value
    price = world.price(factor) if factor else None
    order: dict[str, Any] = await getattr(world.client, f"create_order{way}")(
        SYMBOL, kind, side, amount, price, given
    )
    return order


def lives_once(statuses: list[str]) -> bool:
    """Say whether an order was open until it ended, and ended once."""
    return statuses == sorted(statuses, key=lambda each: each != "open") and len({*statuses, "open"}) <= 2


@pytest.mark.parametrize("way", ["", "_ws"], ids=WAYS)
def test_orders_of_every_kind_live_and_end_as_watched_and_as_the_ledger_has_them(way: str) -> None:
    async def do(world: World) -> None:
        client = world.client
        async with Watching(world) as watching:
            for number, (*_, status) in enumerate(ORDERS):
                placed = await place(world, number, way)
                assert placed["clientOrderId"] == f"NJ-{number}"
                found = await getattr(client, f"fetch_order{way}")(placed["id"], SYMBOL)
                assert found["status"] == status, ORDERS[number]
            await world.until(watching.agrees)
            for order in await getattr(client, f"fetch_open_orders{way}")(SYMBOL):
                canceled = await getattr(client, f"cancel_order{way}")(order["id"], SYMBOL)
                assert (canceled["id"], canceled["status"]) == (order["id"], "canceled")
            assert await getattr(client, f"fetch_open_orders{way}")(SYMBOL) == []
            await world.until(watching.agrees)
            world.exchange.operator.deposit("main", "BTC", Decimal("0.5"))
            await world.until(watching.agrees)
            assert all(lives_once([each["status"] for each in told]) for told in watching.orders.values())
        truth = world.truth
        orders = await getattr(client, f"fetch_orders{way}")(SYMBOL)
        assert [order_said(each) for each in orders] == [order_true(each) for each in truth["orders"]]
        assert len(orders) == len(ORDERS)
        trades = await getattr(client, f"fetch_my_trades{way}")(SYMBOL)
        assert [trade_said(each) for each in trades] == [trade_true(each) for each in truth["trades"]]
        assert balances_said(await client.fetch_balance()) == balances_true(truth)
        if way:  # CCXT 4.5.90 hands on what the WebSocket API says, and reads nothing of it.
            told = (await client.fetch_balance_ws())["info"]["balances"]
            assert told == (await client.fetch_balance())["info"]["balances"]

    with_ccxt(do, synthetic(has_trigger_market_orders=True))


# Kind, side, price, quantity, parameters; how it stands once the market has fallen from 100 to 94.50.
RESTING: list[tuple[str, str, float | None, float, dict[str, Any], str]] = [
    ("limit", "buy", 98.5, 0.4, {}, "closed"),
    ("limit", "buy", 97.5, 3.0, {}, "closed"),
    ("limit", "buy", 94.5, 2.0, {}, "open"),
    ("STOP_LOSS_LIMIT", "sell", 90.0, 0.3, {"stopPrice": 97.0}, "closed"),
    ("STOP_LOSS", "sell", None, 0.2, {"stopPrice": 96.0}, "closed"),
    ("TAKE_PROFIT_LIMIT", "buy", 94.6, 0.5, {"stopPrice": 95.0}, "open"),
    ("STOP_LOSS_LIMIT", "sell", 80.0, 0.2, {"stopPrice": 81.0}, "open"),
    ("limit", "sell", 110.0, 0.1, {}, "open"),
]


def test_orders_that_rest_fill_and_are_triggered_as_watched_when_the_market_moves() -> None:
    exchange = Leaping()

    async def do(world: World) -> None:
        async with Watching(world) as watching:
            for kind, side, price, amount, params, _ in RESTING:
                await world.client.create_order(SYMBOL, kind, side, amount, price, params)
            await world.until(watching.agrees)
            assert {told[-1]["status"] for told in watching.orders.values()} == {"open"}
            exchange.leap()
            await world.until(lambda: len(world.truth["trades"]) == 6 and watching.agrees())
            assert [watching.orders[str(n)][-1]["status"] for n in range(1, len(RESTING) + 1)] == [
                status for *_, status in RESTING
            ]
            assert {each["takerOrMaker"] for each in watching.trades} == {"maker", "taker"}
        for order in await world.client.fetch_orders(SYMBOL):
            told = watching.orders[order["id"]][-1]
            names = ("status", "filled", "remaining", "cost", "average", "triggerPrice")
            assert [told[name] for name in names] == [order[name] for name in names]
        assert balances_said(await world.client.fetch_balance()) == balances_true(world.truth)

    with_ccxt(do, exchange)


@pytest.mark.parametrize("way", ["", "_ws"], ids=WAYS)
def test_an_order_is_replaced_and_a_replacement_that_fails_says_so_and_leaves_what_the_ledger_has(
    way: str,
) -> None:
    # CCXT calls both BadResponse, but its table of the spot market's codes is for the venue's own address alone.
    errors = import_module("ccxt")

    async def do(world: World) -> None:
        client, edit = world.client, getattr(world.client, f"edit_order{way}")
        async with Watching(world) as watching:
            first = await client.create_order(SYMBOL, "limit", "buy", 0.01, world.price(0.9))
            second = await edit(first["id"], SYMBOL, "limit", "buy", 0.02, world.price(0.91))
            assert (second["status"], second["amount"]) == ("open", 0.02)
            assert second["id"] != first["id"]
            with pytest.raises(errors.ExchangeError, match=r"-2022.*NOT_ATTEMPTED"):
                await edit(first["id"], SYMBOL, "limit", "buy", 0.03, world.price(0.92))
            with pytest.raises(errors.ExchangeError, match=r"-2021.*immediately match"):
                await edit(second["id"], SYMBOL, "LIMIT_MAKER", "buy", 0.03, world.price(1.1))
            await world.until(watching.agrees)
            assert [told[-1]["status"] for told in watching.orders.values()] == ["canceled", "canceled"]
        assert [each["status"] for each in world.truth["orders"]] == ["CANCELED", "CANCELED"]

    with_ccxt(do, synthetic())


def test_history_is_downloaded_page_by_page_without_a_hole_and_bars_are_the_fold_of_its_trades() -> None:
    async def do(world: World) -> None:
        client, history = world.client, world.exchange.market.history[0]
        first_ms = world.exchange.market.begin_ns // 1_000_000
        trades = await pages(
            lambda since: client.fetch_trades(SYMBOL, since, 500), first_ms, "id", "timestamp"
        )
        trades.sort(
            key=lambda each: int(each["id"])
        )  # CCXT sorts those of one millisecond by their ids as text.
        ours = history.agg_trades.from_id(1, len(trades))
        assert len(trades) > 2000
        assert [(int(each["id"]), each["price"], each["amount"], each["timestamp"]) for each in trades] == [
            (
                row.agg_id,
                float(BTC.price(row.price_ticks)),
                float(BTC.qty(row.qty_lots)),
                row.ts_ns // 1_000_000,
            )
            for row in ours
        ]
        bars = await pages(lambda since: client.fetch_ohlcv(SYMBOL, "1s", since, 50), first_ms, 0, 0)
        folded = {
            second * 1000: [each["price"] for each in group]
            for second, group in groupby(trades, lambda each: each["timestamp"] // 1000)
        }
        assert len(bars) > 100
        known = [bar for bar in bars if bar[0] + 1000 <= trades[-1]["timestamp"]]
        for before, (opened_ms, *prices, volume) in pairwise(known):
            inside = folded.get(opened_ms, [before[4]])
            assert prices == [inside[0], max(inside), min(inside), inside[-1]]
            assert (volume > 0) is (opened_ms in folded)

    with_ccxt(do, synthetic(age_s=120, orders_per_s=25.0))


async def pages(ask: Callable[[int], Awaitable[list[Any]]], since: int, key: Any, time: Any) -> list[Any]:
    """Return all rows from a time on: each page begins at the time of the last row before it."""
    rows: dict[Any, Any] = {}
    while page := [each for each in await ask(since) if each[key] not in rows]:
        rows |= {each[key]: each for each in page}
        since = page[-1][time]
    return list(rows.values())
