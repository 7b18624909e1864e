"""Where CCXT, or the way to the venue, would lead astray: what CCXT alone makes of it, and what our adapter does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from njord.core.errors import ConfigError
from njord.core.types import BUY, LIMIT, SELL
from njord.venues.ccxt_broker import check_version
from njord.venues.ccxt_feed import CcxtStreams
from tests.contract.cards import (
    BTC,
    EXCHANGE_ONLY,
    Card,
    Order,
    Passes,
    Print,
    Setup,
    Try,
)
from tests.contract.heard import price_text

_CCXT = "It is about CCXT, which the simulated venue has nothing to do with."
_SOURCE = "Tried with CCXT 4.5.90."
_SYMBOL = BTC.symbol
_BURST = 1301
_CACHE = 1000  # CCXT's, of public trades.
_LEVELS = 1100
WITHIN_S = 30.0  # Of the real world.


async def _until(holds: Callable[[], object]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end_s
        await asyncio.sleep(0.002)


# --- versions and addresses ---


def _versions(stage: Any) -> list[str]:
    told = []
    for version in ("4.5.88", "4.5.89", "4.5.90"):
        try:
            check_version(version)
            told.append(f"{version} is taken")
        except ConfigError as error:
            told.append(f"{version}: {str(error).partition(';')[0]}")
    return told


def _hosts_of_ccxt(stage: Any) -> list[str]:
    return [f"CCXT would send the key to {stage.ccxt_urls()['ws']['ws-api']['spot']}"]


def _hosts_of_ours(stage: Any) -> list[str]:
    return [f"asked for: {', '.join(sorted(set(stage.resolver.hosts)))}"]


# --- orders ---


def _merged(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        watching = asyncio.ensure_future(client.watch_orders(_SYMBOL))
        await _until(lambda: stage.n_streams() == 2)
        await client.create_order(_SYMBOL, "limit", "buy", 1, 60)
        await watching
        made = await client.create_order(_SYMBOL, "market", "buy", 1)
        await _until(lambda: client.orders[-1]["status"] == "closed")
        watching = asyncio.ensure_future(client.watch_orders(_SYMBOL))
        await asyncio.sleep(0)
        await client.create_order(_SYMBOL, "limit", "buy", 1, 61)
        seen = [each["status"] for each in await watching if each["id"] == made["id"]]
        return [f"CCXT tells its states as: {', '.join(seen)}"]

    return list(stage.with_ccxt(talk))


def _duplicate(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        given = (_SYMBOL, "limit", "buy", 1, 60, {"clientOrderId": stage.next_id()})
        await client.create_order(*given)
        try:
            await client.create_order(*given)
        except Exception as error:  # Which one it is, is the card's answer.
            return [f"CCXT calls it {type(error).__name__}"]
        return ["CCXT places it twice"]

    return list(stage.with_ccxt(talk))


def _rounded(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        made = await client.create_order(_SYMBOL, "limit", "buy", 1, 90.6)
        return [f"CCXT bids {made['price']:g} where 90.6 was the limit"]

    return [
        *stage.with_ccxt(talk),
        f"our door to prices bids {price_text(BTC.limit_ticks('90.6', BUY))}, and asks {price_text(BTC.limit_ticks('90.6', SELL))}",
    ]


def _tagged(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        made = await client.create_order(_SYMBOL, "limit", "buy", 1, 60)
        return [f"CCXT's own ids begin with {made['clientOrderId'][:10]}"]

    return list(stage.with_ccxt(talk))


def _our_tag(stage: Any) -> list[str]:
    ids = {each["client_order_id"][:3] for each in stage.truth()["orders"][-1:]}
    return [f"the venue has it under an id that begins with {', '.join(ids)}"]


def _revoked(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        await client.fetch_balance()
        stage.deed({"do": "revoke_key", "key": "$KEY"})
        try:
            await client.fetch_balance()
        except Exception as error:  # Which one it is, is the card's answer.
            return [f"CCXT calls it {type(error).__name__}"]
        return ["CCXT reads on"]

    return list(stage.with_ccxt(talk))


# --- lists and bursts ---


def _owner_trades_much(stage: Any) -> list[str]:
    stage.ear.is_deaf = True  # Each of them is told; that would fill the card.
    stage.market({}, {str(103 + level): "0.1" for level in range(_LEVELS)}, ())
    stage.deed(
        {
            "do": "place_by_hand",
            "account": "main",
            "symbol": "BTCUSDT",
            "side": "buy",
            "type": "market",
            "qty": "125",
        }
    )
    stage.until_true()
    told = sum(type(each).__name__ == "FillEvent" for each in stage.ear.journal)
    return [f"the account has {len(stage.truth()['trades'])} trades; {told} are in our books"]


def _listed(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        by_default = await client.fetch_my_trades(_SYMBOL)
        all_of_them = await client.fetch_my_trades(_SYMBOL, None, 5000)
        return [f"CCXT lists {len(by_default)}, and asked for 5000 {len(all_of_them)}, the newest"]

    return [*stage.with_ccxt(talk), f"our adapter lists {len(stage.broker.fetch_trades(_SYMBOL, ''))}"]


def _burst(stage: Any, n_trades: int) -> int:
    """Let so many trades happen at once, no two of them one aggregate; return the id of the last one."""
    prints = [Print(BUY, "0.1", "100" if number % 2 else "101") for number in range(n_trades)]
    stage.market({}, {}, prints)
    return int(stage.tape.last_trade_id)


def _dropped(stage: Any) -> list[str]:
    async def talk(client: Any) -> list[str]:
        watching = asyncio.ensure_future(client.watch_trades(_SYMBOL))
        while not watching.done():  # Until it is subscribed.
            _burst(stage, 1)
            await asyncio.sleep(0.02)
        first_id = stage.tape.last_trade_id
        last_id = _burst(stage, _BURST)
        await _until(lambda: int(client.trades[_SYMBOL][-1]["id"]) == last_id)
        watching = asyncio.ensure_future(client.watch_trades(_SYMBOL))
        await asyncio.sleep(0)
        _burst(stage, 1)
        got = [each for each in await watching if int(each["id"]) > first_id]
        return [f"CCXT hands on {len(got)} of {_BURST + 1} trades that came while nobody waited"]

    return list(stage.with_ccxt(talk))


def _tapped(stage: Any) -> list[str]:
    async def talk() -> list[str]:
        opened = asyncio.Event()
        ids: list[int] = []

        def heard(message: dict[str, Any]) -> None:
            ids.append(int(message["l"]))

        streams = CcxtStreams("binanceus", [BTC], endpoint=stage.served.address.rest)
        listening = asyncio.ensure_future(streams.listen(opened.set, heard))
        await asyncio.wait_for(opened.wait(), WITHIN_S)
        first_id = stage.tape.last_trade_id
        _burst(stage, _BURST)
        last_id = _burst(stage, 1)
        await _until(lambda: ids and ids[-1] == last_id)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        got = [each for each in ids if each > first_id]
        assert got == sorted(set(got))
        return [f"our tap hands on {len(got)}, in order"]

    return asyncio.run(talk())


def _aggregated(stage: Any) -> list[str]:
    stage.market({}, {}, [Print(BUY, "0.1", "101"), Print(BUY, "0.2", "101"), Print(SELL, "0.1", "99")])
    stage.passes(1)

    async def talk(client: Any) -> list[str]:
        by_default = await client.fetch_trades(_SYMBOL)
        given = {"fetchTradesMethod": "publicGetTrades"}
        single = await client.fetch_trades(_SYMBOL, None, None, given)
        n_default, n_single = len(by_default), len(single)
        return [f"CCXT lists {n_default} trades with ids of their own where there were {n_single}"]

    return list(stage.with_ccxt(talk))


CARDS = (
    Card(
        number=80,
        title="A CCXT that stalls for good after a burst of frames is refused at the start",
        script=(
            Try(told="offer it some versions", do=_versions),
            "4.5.88: ccxt must be 4.5.90 or newer, was 4.5.88: older ones stall",
            "4.5.89: ccxt must be 4.5.90 or newer, was 4.5.89: older ones stall",
            "4.5.90 is taken",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="The version trap: with aiohttp 3.14.5 CCXT 4.5.88 read 3957 of 8000 frames, and said nothing.",
    ),
    Card(
        number=81,
        title="The account's key goes to the venue's own hosts alone",
        script=(
            Try(told="look where CCXT alone would open the private stream", do=_hosts_of_ccxt),
            "CCXT would send the key to wss://ws-api.binance.com:443/ws-api/v3",
            Order(name="a", side=BUY, qty="1"),
            "a accepted",
            "a buys 1 at 101, taker, fee 0.001 BTC",
            "a filled, 1 filled",
            Try(told="look which hosts the adapter asked for", do=_hosts_of_ours),
            "asked for: api.binance.us, ws-api.binance.us",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="binanceus inherits the private stream's address from another company's class.",
        setup=Setup(own_addresses=True),
    ),
    Card(
        number=82,
        title="An order that is accepted and filled within one moment is told with every state",
        script=(
            Order(name="a", side=BUY, qty="1"),
            "a accepted",
            "a buys 1 at 101, taker, fee 0.001 BTC",
            "a filled, 1 filled",
            Try(told="the same with CCXT, busy for a moment", do=_merged),
            "CCXT tells its states as: closed",
            "alert: an order that is not ours is on the account",
            "alert: an order that is not ours is on the account",
            "owner's hand buys 1 at 101, taker, fee 0.001 BTC",
            "alert: an order that is not ours is on the account",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="CCXT keeps one row per order: NEW and FILLED in one moment come out as one.",
        setup=Setup(),
    ),
    Card(
        number=83,
        title="An id that the venue has already is no refusal: the order behind it is asked for",
        script=(
            Try(told="place an order twice under one id with CCXT, the id of the next order", do=_duplicate),
            "CCXT calls it InvalidOrder",
            "alert: an order that is not ours is on the account",
            Order(name="a", side=BUY, qty="1", type=LIMIT, price="60"),
            "a unknown OUTCOME_UNKNOWN",
            "a accepted",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="-2010 Duplicate order sent.",
        setup=Setup(),
    ),
    Card(
        number=84,
        title="A limit is never worsened by rounding: a bid is rounded down, an ask up",
        script=(
            Try(told="bid 90.6 where the tick is 1", do=_rounded),
            "CCXT bids 91 where 90.6 was the limit",
            "our door to prices bids 90, and asks 91",
            "alert: an order that is not ours is on the account",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="CCXT rounds prices to the nearest tick.",
        setup=Setup(),
    ),
    Card(
        number=85,
        title="A revoked key is final, and no throttling",
        script=(
            Try(told="ask with CCXT before and after the key is revoked", do=_revoked),
            "CCXT calls it DDoSProtection",
            "connection: halted (stream)",
            Passes(seconds=5),
            "alert: the venue refuses the key; nothing is sent any more",
            "connection: halted (key)",
            Order(name="a", side=BUY, qty="1"),
            "a rejected VENUE_NOT_READY",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="After one good private call CCXT reports -2015 as DDoSProtection, which may be retried.",
        setup=Setup(),
    ),
    Card(
        number=86,
        title="Every order carries an id of ours, never CCXT's tag",
        script=(
            Try(told="place an order with CCXT, without an id", do=_tagged),
            "CCXT's own ids begin with x-TKT5PX2F",
            "alert: an order that is not ours is on the account",
            Order(name="a", side=BUY, qty="1", type=LIMIT, price="90"),
            "a accepted",
            Try(told="look at it in the venue's ledger", do=_our_tag),
            "the venue has it under an id that begins with NJ-",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        setup=Setup(),
    ),
    Card(
        number=87,
        title="More than 1,000 trades are listed from the first one on, each once",
        script=(
            Try(told="the owner sweeps 1,102 levels by hand", do=_owner_trades_much),
            "the account has 1102 trades; 1102 are in our books",
            Try(told="list them", do=_listed),
            "CCXT lists 500, and asked for 5000 1000, the newest",
            "our adapter lists 1102",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="The venue's page is 1,000 rows.",
        setup=Setup(),
    ),
    Card(
        number=88,
        title="Public trades that come in a burst are handed on one by one, none dropped",
        script=(
            Try(told="a burst of 1,301 trades while CCXT's caller is busy, then one more", do=_dropped),
            "CCXT hands on 1000 of 1302 trades that came while nobody waited",
            Try(told="the same at our tap", do=_tapped),
            "our tap hands on 1302, in order",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="CCXT's cache holds 1,000 trades.",
        setup=Setup(),
    ),
    Card(
        number=89,
        title="CCXT's default list of public trades is one of aggregates, with other ids",
        script=(
            Try(told="five trades, two of them of one moment, side and price", do=_aggregated),
            "CCXT lists 4 trades with ids of their own where there were 5",
        ),
        where=EXCHANGE_ONLY,
        why=_CCXT,
        source="Our feed takes aggregates from the stream and from REST alike, so that their ids agree.",
        setup=Setup(),
    ),
)
