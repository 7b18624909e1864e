"""What does a shell drive? A live broker's core, whichever venue's: `binance_core.py` is one."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from njord.core.contracts import BrokerAmendReq, BrokerCancelReq, BrokerOrderReq, BrokerReply
from njord.venues.binance_options import StreamWish
from njord.venues.broker_wire import Answer, Ask, NoAnswer, UnknownOrder, Word


class BrokerCore(Protocol):
    """What decides: see `binance_core.py`. Times are epoch ns on the host's clock."""

    def start(self, now_ns: int) -> None:
        """Begin with the time, the rules, the stream, and all that the venue knows."""

    def place(self, req: BrokerOrderReq, now_ns: int) -> BrokerReply:
        """Take an order."""

    def cancel(self, req: BrokerCancelReq, now_ns: int) -> BrokerReply:
        """Take a cancel."""

    def amend(self, req: BrokerAmendReq, now_ns: int) -> BrokerReply:
        """Take an amendment."""

    def answered(self, request_id: int, answer: Answer | NoAnswer, now_ns: int) -> None:
        """Hear what became of a request."""

    def stream_opened(self, now_ns: int) -> None:
        """Hear that events may come."""

    def stream_said(self, event: bytes, now_ns: int) -> None:
        """Hear an event."""

    def stream_closed(self, detail: str, now_ns: int) -> None:
        """Hear that no more come."""

    def wake(self, now_ns: int) -> None:
        """Do what is due."""

    @property
    def next_wake_ns(self) -> int:
        """When something is due."""

    def take_asks(self) -> list[Ask]:
        """Return what is to be sent now."""

    def take_words(self) -> list[Word]:
        """Return what the host is to be told."""

    @property
    def wants_stream(self) -> StreamWish:
        """What should be open."""

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        """Return the orders whose outcome nobody knows."""

    @property
    def clock_offset_ns(self) -> int:
        """The venue's time less the host's."""

    @property
    def cursors(self) -> Mapping[str, str]:
        """The id of the last trade told, by symbol."""

    @property
    def account_uid(self) -> int:
        """The venue's number for the account that must answer; 0 = it is not known yet."""
