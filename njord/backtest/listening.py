"""What does a strategy want? Its class in; a class that does the same, and notes what it wants from a moment on, out."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from njord.core.contracts import CancelIntent, Proposal, TimerSet
from njord.strategies.base import Proposals, Strategy
from njord.strategies.context import Context

_CALLBACKS = ("on_bar", "on_trade", "on_book", "on_fill", "on_order", "on_timer")
_Callback = Callable[..., Proposals]


class Heard(msgspec.Struct, frozen=True):
    """One proposal and when it was made, on which symbol."""

    ts_ns: int
    symbol: str
    proposal: Proposal


def listening(cls: type[Strategy], start_ns: int, warm_from: int, heard: list[Heard]) -> type[Strategy]:
    """Return `cls`, whose proposals count from `start_ns` on and are noted in `heard`.

    Args:
        cls: What is listened to.
        start_ns: What is proposed before, cancels and timers apart, is dropped.
        warm_from: So many bars does the strategy see itself in its warm-up; what it proposes then is refused.
        heard: Told of every proposal from `start_ns` on.
    """

    def wrapped(callback: _Callback) -> _Callback:
        def call(self: Strategy, ctx: Context, event: Any) -> Proposals:
            answer = callback(self, ctx, event)
            if answer is None:
                return None
            every = answer if isinstance(answer, (list, tuple)) else (answer,)
            if ctx.ts_ns < start_ns:
                return [each for each in every if isinstance(each, (CancelIntent, TimerSet))]
            heard.extend(Heard(ctx.ts_ns, ctx.instrument.symbol, each) for each in every)
            return answer

        return call

    own = {
        name: wrapped(getattr(cls, name))
        for name in _CALLBACKS
        if getattr(cls, name) is not getattr(Strategy, name)
    }
    return type(cls.__name__, (cls,), {**own, "warm_from": warm_from})


def silent(cls: type[Strategy]) -> type[Strategy]:
    """Return a class that takes the same parameters and wants nothing."""
    return type(cls.__name__, (Strategy,), {"Params": cls.Params})


def spoken(heard: Sequence[Heard], symbol: str) -> list[Heard]:
    """Return what was said about one symbol, timers left out: they are no decision about the market."""
    return [each for each in heard if each.symbol == symbol and not isinstance(each.proposal, TimerSet)]
