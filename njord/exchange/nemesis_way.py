"""Trouble on the way: requests and answers that are lost or late, slow answers, a venue that is gone."""

from msgspec.structs import replace

from njord.exchange.calls import ORDER_PATH, PLACING
from njord.exchange.nemesis import HTML, Trouble
from njord.exchange.wire import Fate, Request, Response


class LostAnswer(Trouble):
    """A1: the order counts, its answer is lost."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Lose the answer."""
        return replace(fate, loses_response=True) if _places(request) and self.strikes() else fate


class LostOrder(Trouble):
    """A2: the order never arrives."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Lose the request."""
        return replace(fate, loses_request=True) if _places(request) and self.strikes() else fate


class LateOrder(Trouble):
    """A3: the order arrives long after its sender gave up."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Delay the request."""
        if not _places(request) or not self.strikes():
            return fate
        return replace(fate, request_delay_ns=fate.request_delay_ns + self.number_ns("delay_s"))


class SlowCancel(Trouble):
    """A6: cancels wait on the way, so that fills overtake them; it struck where one did."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Delay a cancel, its answer, or both."""
        if not _cancels(request) or not self.may_strike() or self.random.random() >= self.spec.share:
            return fate
        hold_ns = self.number_ns("hold_s")
        return replace(
            fate,
            request_delay_ns=fate.request_delay_ns + self.random.randrange(hold_ns + 1),
            response_delay_ns=fate.response_delay_ns + self.random.choice((0, hold_ns)),
        )

    def after(self, request: Request, response: Response, now_ns: int) -> Response:
        """Count the cancels that came too late."""
        if _cancels(request) and response.status == 400 and b"-2011" in response.body:
            self.n_struck += 1
        return response


class Outage(Trouble):
    """A18: nobody answers, or a gateway says that nobody would; all streams end, none opens."""

    def begin(self, now_ns: int) -> None:
        """Cut all streams; one outage has one form."""
        self._form = self.form()
        self.n_struck += 1
        self.setting.exchange.operator.drop_streams()

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Lose every request."""
        return replace(fate, loses_request=True) if self._form == "silent" else fate

    def before(self, request: Request, now_ns: int) -> Response | None:
        """Answer for a venue that is not there."""
        return Response(status=503, body=HTML, headers={"content-type": "text/html"})

    def opens(self, path: str, now_ns: int) -> bool:
        """Turn every connection away."""
        return False


class BrokenWay(Trouble):
    """A22: the venue can not be reached at all, or answers a byte a second."""

    def fate(self, request: Request, fate: Fate, now_ns: int) -> Fate:
        """Lose the request, or let the answer trickle."""
        if not self.strikes():
            return fate
        if self.form() == "slow":
            return replace(fate, bytes_per_s=1)
        return replace(fate, loses_request=True)


def _places(request: Request) -> bool:
    return (request.method, request.path) in PLACING


def _cancels(request: Request) -> bool:
    return (request.method, request.path) == ("DELETE", ORDER_PATH)
