"""What a fault is: something that stands between the exchange and the world while its window is open.

A `Trouble` sees every request leave, arrive and be answered, every connection open and every frame on its way, and may
do harm at each. It counts how often it really struck, because a fault that never struck proves nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from njord.core.instrument import Instrument
from njord.core.units import FOREVER_NS, NS_PER_S
from njord.exchange.exchange import Exchange
from njord.exchange.fault_plan import FaultSpec
from njord.exchange.wire import JSON_HEADERS, Fate, Frame, Request, Response

HTML: Final = (
    b"<html><head><title>503 Service Unavailable</title></head><body>Please try again.</body></html>"
)


class Setting(msgspec.Struct, frozen=True):
    """What a fault may touch.

    Attributes:
        exchange: Its operator does what the world does to an account.
        accounts: Their names.
        keys: Of all accounts.
        instruments: What is traded.
        later: Takes a frame that is sent at a time.
        is_user: Whether a connection, by its number, carries an account's events.
    """

    exchange: Exchange
    accounts: tuple[str, ...]
    keys: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    later: Callable[[int, Frame], None]
    is_user: Callable[[int], bool]


class Trouble:
    """One fault of a plan; every hook leaves what passes by as it is unless a subclass does otherwise.

    Args:
        spec: What the plan says of it.
        random: Its own, so that faults do not disturb each other's draws.
        setting: What it may touch.
    """

    def __init__(self, spec: FaultSpec, random: Random, setting: Setting) -> None:
        self.spec = spec
        self.random = random
        self.setting = setting
        self.n_struck = 0
        self.wake_ns = FOREVER_NS  # When `wake` is to be called.

    def strikes(self) -> bool:
        """Draw whether this opportunity is taken, and count it if so."""
        if not self.may_strike() or self.random.random() >= self.spec.share:
            return False
        self.n_struck += 1
        return True

    def may_strike(self) -> bool:
        """Say whether its count is not used up."""
        return not self.spec.count or self.n_struck < self.spec.count

    def form(self) -> str:
        """Return which form it takes this time."""
        return self.spec.form(self.random)

    def number(self, name: str) -> float:
        """Return one of its numbers."""
        return self.spec.number(name)

    def number_ns(self, name: str) -> int:
        """Return one of its numbers, given in seconds, in nanoseconds."""
        return round(self.number(name) * NS_PER_S)

    # --- what happens ---

    def begin(self, now_ns: int) -> None:
        """Its window opens."""

    def end(self, now_ns: int) -> None:
        """Its window closes: what it changed for good is put back."""

    def wake(self, now_ns: int) -> None:
        """The time that it asked for has come."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """A request leaves its caller; return what the way does to it."""
        return fate

    def before(self, request: Request, now_ns: int) -> Response | None:
        """A request has arrived; return an answer to keep it from the exchange."""
        return None

    def after(self, request: Request, response: Response, now_ns: int) -> Response:
        """The exchange has answered; return what the caller is told."""
        return response

    def opens(self, path: str, now_ns: int) -> bool:
        """A connection asks to be opened."""
        return True

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """A frame is on its way; return what is sent instead."""
        return (frame,)


def param(request: Request, name: str) -> str:
    """Return one parameter of a request, from its query or its form; empty if it is not there."""
    for text in (request.query, request.body):
        for key, value in parse_qsl(text):
            if key == name:
                return value
    return ""


def error(status: int, code: int, message: str, headers: Mapping[str, str] = JSON_HEADERS) -> Response:
    """Return an error in the dialect."""
    return Response(status=status, body=msgspec.json.encode({"code": code, "msg": message}), headers=headers)


def is_event(text: str | None, kind: str) -> bool:
    """Say whether a frame's text is an event of that kind, wrapped or not."""
    return text is not None and f'"{kind}"' in text


def changed(text: str, change: Callable[[dict[str, object]], None]) -> str:
    """Return an event's text with its innermost mapping changed, whatever it is wrapped in."""
    whole = msgspec.json.decode(text)
    change(innermost(whole))
    return msgspec.json.encode(whole).decode()


def innermost(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the event in a decoded frame, whatever it is wrapped in."""
    for key in ("event", "data"):
        if isinstance(whole.get(key), dict):
            whole = whole[key]
    return whole
