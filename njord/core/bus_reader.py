"""How does a consumer apply each message once? Deliveries of a stream in, messages not had before out, and what is missing.

A stream delivers at least once: after a crash, a reconnection, or a Redis that was emptied, frames come again. They
carry the sequence numbers of their session's journal, so that a reader knows what it has had, and sees a gap by the
number before a frame. A gap is healed from the journal where one can be read; else it is said, and what belongs into
it is still taken when it comes late. Positions are handed in and out: who keeps them with what the messages caused,
in one step, has each message exactly once.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from njord.core.bus import Consumer, Delivery, Frame


class Received(msgspec.Struct, frozen=True, gc=False):
    """One message that was not had before: a line of its session's journal."""

    session: str
    seq: int
    payload: bytes


class Gap(msgspec.Struct, frozen=True):
    """Messages of the reader's topic numbered `after_seq` + 1 to `until_seq` did not come, if there are any."""

    after_seq: int
    until_seq: int


class Position(msgspec.Struct, frozen=True):
    """What a reader has had of one session: all of the topic up to `seq`, without what is `missing`."""

    seq: int = 0
    missing: tuple[Gap, ...] = ()

    def has(self, seq: int) -> bool:
        """Say whether message `seq` was had."""
        return seq <= self.seq and not any(gap.after_seq < seq <= gap.until_seq for gap in self.missing)

    def having(self, after_seq: int, until_seq: int) -> "Position":
        """Return the position once everything of the topic from `after_seq` + 1 to `until_seq` was had."""
        missing = [
            part
            for gap in self.missing
            for part in (
                Gap(gap.after_seq, min(gap.until_seq, after_seq)),
                Gap(max(gap.after_seq, until_seq), gap.until_seq),
            )
            if part.after_seq < part.until_seq
        ]
        if after_seq > self.seq:
            missing.append(Gap(self.seq, after_seq))
        return Position(max(self.seq, until_seq), tuple(missing))


# Returns the messages of a session's topic in (after_seq, until_seq], in order; None if it can not say.
Heal = Callable[[str, str, int, int], "Sequence[Received] | None"]


class _Line(msgspec.Struct):
    seq: int


_decode_line = msgspec.json.Decoder(_Line).decode


class IdempotentReader:
    """Reads a stream; each message comes out once.

    Args:
        consumer: Delivers frames. Let one member of a group read at a time: the others stand by.
        positions: By session, where this reader was when it last stopped.
        heal: Finds what is missing: `heal(session, topic, after_seq, until_seq)`.
    """

    def __init__(
        self, consumer: Consumer, positions: Mapping[str, Position] | None = None, heal: Heal | None = None
    ) -> None:
        self._consumer = consumer
        self._heal = heal
        self._positions = dict(positions or {})
        self._unacknowledged: list[Delivery] = []
        self.n_duplicates = 0
        self.n_healed = 0

    @property
    def positions(self) -> dict[str, Position]:
        """By session, what was had, `read`'s last answer included: keep it with what the messages caused."""
        return dict(self._positions)

    def read(self, block_ms: int = 0) -> list[Received]:
        """Return the next messages that were not had before, in the order of their numbers but for late ones.

        Raises:
            BusUnavailable: Try again later; nothing is lost.
        """
        received: list[Received] = []
        for delivery in self._consumer.read(block_ms):
            try:
                lines = _numbered(delivery.frame)
            except ValueError as error:
                self._consumer.dead_letter(delivery, str(error))
                continue
            received += self._take(delivery.frame, lines)
            self._unacknowledged.append(delivery)
        return received

    def done(self) -> None:
        """Acknowledge everything that was read: call it once its effects and the positions are kept."""
        if self._unacknowledged:
            self._consumer.ack(self._unacknowledged)
            self._unacknowledged = []

    def _take(self, frame: Frame, lines: list[Received]) -> list[Received]:
        position = self._positions.get(frame.session, Position())
        found: list[Received] = []
        if frame.previous_seq > position.seq and self._heal is not None:
            healed = self._heal(frame.session, self._consumer.topic, position.seq, frame.previous_seq)
            if healed is not None:
                found += healed
                self.n_healed += len(healed)
                position = position.having(position.seq, frame.previous_seq)
        fresh = [line for line in lines if not position.has(line.seq)]
        self.n_duplicates += len(lines) - len(fresh)
        self._positions[frame.session] = position.having(frame.previous_seq, frame.last_seq)
        return found + fresh


# Every payload says its number itself: a frame skips the numbers of other topics.
def _numbered(frame: Frame) -> list[Received]:
    try:
        lines = [Received(frame.session, _decode_line(line).seq, line) for line in frame.payloads]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"a payload is no line of a journal: {error}") from None
    numbers = [line.seq for line in lines]
    if (numbers[0], numbers[-1]) != (frame.first_seq, frame.last_seq) or sorted(set(numbers)) != numbers:
        raise ValueError(f"the payloads' numbers are not {frame.first_seq} to {frame.last_seq}, rising")
    return lines
