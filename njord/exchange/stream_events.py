"""How does the venue tell public events? Events and states of the market in, payloads of its streams out."""

from typing import Any

from njord.exchange.market import AggTradePrint, BestQuote, BookDiff, PublicMarket, TradePrint
from njord.exchange.market_klines import Kline
from njord.exchange.market_text import Texts, to_ms
from njord.exchange.public import day_of


def trade(texts: Texts, event: TradePrint) -> dict[str, Any]:
    """Return a trade."""
    return {
        "e": "trade",
        "E": to_ms(event.ts_ns),
        "s": texts.symbol,
        "t": event.trade_id,
        "p": texts.price(event.price_ticks),
        "q": texts.qty(event.qty_lots),
        "T": to_ms(event.ts_ns),
        "m": event.is_buyer_maker,
        "M": True,
    }


def agg_trade(texts: Texts, event: AggTradePrint) -> dict[str, Any]:
    """Return an aggregate trade."""
    return {
        "e": "aggTrade",
        "E": to_ms(event.ts_ns),
        "s": texts.symbol,
        "a": event.agg_id,
        "p": texts.price(event.price_ticks),
        "q": texts.qty(event.qty_lots),
        "f": event.first_id,
        "l": event.last_id,
        "T": to_ms(event.ts_ns),
        "m": event.is_buyer_maker,
        "M": True,
    }


def diff(texts: Texts, event: BookDiff) -> dict[str, Any]:
    """Return a change of the book."""
    return {
        "e": "depthUpdate",
        "E": to_ms(event.ts_ns),
        "s": texts.symbol,
        "U": event.first_id,
        "u": event.last_id,
        "b": texts.levels(event.bids),
        "a": texts.levels(event.asks),
    }


def best_quote(texts: Texts, event: BestQuote) -> dict[str, Any]:
    """Return the best levels; this one names no event and no time."""
    return {
        "u": event.update_id,
        "s": texts.symbol,
        "b": texts.price(event.bid_ticks),
        "B": texts.qty(event.bid_lots),
        "a": texts.price(event.ask_ticks),
        "A": texts.qty(event.ask_lots),
    }


def kline(texts: Texts, interval: str, bar: Kline, ts_ns: int) -> dict[str, Any]:
    """Return a bar as it stands at a time; after its end it is closed."""
    told = {
        "t": to_ms(bar.open_ns),
        "T": to_ms(bar.end_ns) - 1,
        "s": texts.symbol,
        "i": interval,
        "f": bar.first_id,
        "L": bar.last_id,
        "o": texts.price(bar.open),
        "c": texts.price(bar.close),
        "h": texts.price(bar.high),
        "l": texts.price(bar.low),
        "v": texts.qty(bar.volume_lots),
        "n": bar.n_trades,
        "x": ts_ns >= bar.end_ns,
        "q": texts.quote(bar.quote),
        "V": texts.qty(bar.taker_buy_lots),
        "Q": texts.quote(bar.taker_buy_quote),
        "B": "0",
    }
    return {"e": "kline", "E": to_ms(ts_ns), "s": texts.symbol, "k": told}


def mini_ticker(texts: Texts, market: PublicMarket, index: int, ts_ns: int) -> dict[str, Any]:
    """Return the last 24 hours, in short."""
    day = day_of(market, index, ts_ns)
    return {
        "e": "24hrMiniTicker",
        "E": to_ms(ts_ns),
        "s": texts.symbol,
        "c": texts.price(day.close),
        "o": texts.price(day.open),
        "h": texts.price(day.high),
        "l": texts.price(day.low),
        "v": texts.qty(day.volume_lots),
        "q": texts.quote(day.quote),
    }


def ticker(texts: Texts, market: PublicMarket, index: int, ts_ns: int) -> dict[str, Any]:
    """Return the last 24 hours."""
    day = day_of(market, index, ts_ns)
    bid, bid_lots, ask, ask_lots = market.best(index)
    latest = market.history[index].trades.latest(1)
    return mini_ticker(texts, market, index, ts_ns) | {
        "e": "24hrTicker",
        "p": texts.price(day.close - day.open),
        "P": texts.percent(day.close - day.open, day.open),
        "w": texts.average(day.quote, day.volume_lots),
        "x": texts.price(day.open),
        "Q": texts.qty(latest[-1].qty_lots if latest else 0),
        "b": texts.price(bid),
        "B": texts.qty(bid_lots),
        "a": texts.price(ask),
        "A": texts.qty(ask_lots),
        "O": to_ms(day.open_ns),
        "C": to_ms(day.end_ns),
        "F": day.first_id,
        "L": day.last_id,
        "n": day.n_trades,
    }
