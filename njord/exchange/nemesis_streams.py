"""Trouble in the streams: an account's reports that are missing, doubled or in disorder, and connections that die."""

from collections.abc import Iterable
from typing import Final

from njord.exchange.nemesis import Trouble, is_event
from njord.exchange.wire import Frame

REPORT: Final = "executionReport"


class DoubleReport(Trouble):
    """A9: a report comes twice, and once more later."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Double it."""
        if not is_event(frame.text, REPORT) or not self.strikes():
            return (frame,)
        self.setting.later(now_ns + self.number_ns("again_s"), frame)
        return (frame, frame)


class MissingReport(Trouble):
    """A10: a report never comes, and the stream is otherwise healthy."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Lose it."""
        return () if is_event(frame.text, REPORT) and self.strikes() else (frame,)


class LateReport(Trouble):
    """A11: a report is overtaken by those after it."""

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Hold it back."""
        if not is_event(frame.text, REPORT) or not self.strikes():
            return (frame,)
        hold_ns = max(1, self.number_ns("hold_s"))
        self.setting.later(now_ns + self.random.randrange(1, 1 + hold_ns), frame)
        return ()


class SilentStream(Trouble):
    """A13: connections stay open and carry nothing any more."""

    def begin(self, now_ns: int) -> None:
        """Choose the streams: one silence has one form."""
        self._form = self.form()

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Swallow it."""
        is_user = self.setting.is_user(frame.connection)
        if frame.text is None or (self._form != "all" and is_user != (self._form == "user")):
            return (frame,)
        self.n_struck += 1
        return ()


class FlappingStream(Trouble):
    """A14: all streams are cut, again and again."""

    def begin(self, now_ns: int) -> None:
        """Cut them at once."""
        self.wake(now_ns)

    def wake(self, now_ns: int) -> None:
        """Cut them once more."""
        if not self.may_strike():
            return
        self.n_struck += 1
        self.setting.exchange.operator.drop_streams()
        self.wake_ns = now_ns + max(1, self.number_ns("every_s"))


class EarlyExpiry(Trouble):
    """A15: the keys of user streams end before their time."""

    def begin(self, now_ns: int) -> None:
        """End them."""
        self.setting.exchange.operator.expire_listen_keys()

    def frame(self, frame: Frame, now_ns: int) -> Iterable[Frame]:
        """Count the streams that were told."""
        if is_event(frame.text, "listenKeyExpired") or is_event(frame.text, "eventStreamTerminated"):
            self.n_struck += 1
        return (frame,)
