"""Trouble in market data: what the public streams say against what the market does. No truth changes by it."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from msgspec.structs import replace

from njord.core.units import NS_PER_S
from njord.exchange.nemesis import Trouble, changed, is_event
from njord.exchange.wire import Frame

_MARKET = ("trade", "aggTrade", "depthUpdate", "kline", "24hrTicker", "24hrMiniTicker")


class BookTrouble(Trouble):
    """B1: the book's stream has holes, or shows a crossed book."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Lose a change of the book, or turn its sides over."""
        if not is_event(frame.text, "depthUpdate") or not self.strikes():
            return (frame,)
        return () if self.form() == "gap" else (_with(frame, _cross),)


class TradeTrouble(Trouble):
    """B2: trades come twice, late, or with a clock that goes back."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Disturb a trade."""
        if not _is_trade(frame) or not self.strikes():
            return (frame,)
        form = self.form()
        if form == "double":
            self.setting.later(now_ns + self.random.randrange(1, NS_PER_S), frame)
            return (frame, frame)
        if form == "late":
            self.setting.later(now_ns + self.random.randrange(1, 3 * NS_PER_S), frame)
            return ()
        return (_with(frame, _set_back),)


class PriceTrouble(Trouble):
    """B3: one trade has a price that no market had."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Spoil a trade's price."""
        if not _is_trade(frame) or not self.strikes():
            return (frame,)
        form = self.form()

        def spoil(event: dict[str, object]) -> None:
            true = str(event["p"])
            event["p"] = {
                "spike": f"{Decimal(true) * 10:f}",
                "zero": "0.00000000",
                "nan": "NaN",
                "negative": f"-{true}",
            }[form]

        return (_with(frame, spoil),)


class FrozenMarket(Trouble):
    """B4: the streams stay open, their heartbeats go on, and nothing new is said."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Swallow what would be new."""
        return () if _is_market(frame) and self.strikes() else (frame,)


class Flood(Trouble):
    """B5: every quote comes many times."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Multiply a quote; trades are what happened, and are never multiplied."""
        if not _is_quote(frame) or not self.strikes():
            return (frame,)
        return (frame,) * max(1, round(self.number("copies")))


class RevisedBar(Trouble):
    """B6: a finished bar is missing, or is told again with another close."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Revise or lose a finished bar."""
        if not is_event(frame.text, "kline") or '"x":true' not in str(frame.text) or not self.strikes():
            return (frame,)
        if self.form() == "missing":
            return ()
        self.setting.later(now_ns + self.random.randrange(1, 2 * NS_PER_S), _with(frame, _revise))
        return (frame,)


def _is_trade(frame: Frame) -> bool:
    return is_event(frame.text, "trade") or is_event(frame.text, "aggTrade")


def _is_quote(frame: Frame) -> bool:
    text = frame.text
    return text is not None and '"B":' in text and '"A":' in text and '"u":' in text and '"e":' not in text


def _is_market(frame: Frame) -> bool:
    return _is_quote(frame) or any(is_event(frame.text, kind) for kind in _MARKET)


def _with(frame: Frame, change: Callable[[dict[str, object]], None]) -> Frame:
    assert frame.text is not None
    return replace(frame, text=changed(frame.text, change))


def _cross(event: dict[str, object]) -> None:
    event["b"], event["a"] = event["a"], event["b"]


def _set_back(event: dict[str, object]) -> None:
    for key in ("E", "T"):
        event[key] = int(str(event[key])) - 60_000


def _revise(event: dict[str, object]) -> None:
    bar = event["k"]
    assert isinstance(bar, dict)
    bar["c"] = bar["h"]
