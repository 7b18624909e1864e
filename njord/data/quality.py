"""What is wrong with market data as they come? Bars, trades and book events in; a DataGap for each fault out, at once.

The checks and their names are those of a dataset's certificate, as far as one message after the other can show them: a
fault here is a finding there once the session is recorded. Nothing is dropped or mended: whoever trades decides.
"""

from typing import Final

import msgspec

from njord.core.component import Handler
from njord.core.contracts import Bar, BookEvent, DataGap, Message, TimerFired, TimerSet, TradeEvent
from njord.core.errors import InvariantError

RECENT_IDS: Final = (
    1_000  # An id that comes again is known as a repetition among as many; older ones only as late.
)
_BOOK, _TRADES = "book", "trades"
_KEY = "quality/"


class _Stream(msgspec.Struct):
    # One kind of event of one instrument; -1 = none yet.
    last_ns: int = -1
    venue_ns: int = -1
    last_id: int = -1
    recent: list[int] = []
    timer_ns: int = -1


class _State(msgspec.Struct):
    bar_open_ns: int = -1
    trades: _Stream = msgspec.field(default_factory=_Stream)
    book: _Stream = msgspec.field(default_factory=_Stream)


class QualityMonitor:
    """Watches the market data of several instruments.

    Args:
        n_instruments: How many there are; their index is in every message.
        interval_ns: Of the bars that come; 0 where none come.
        silence_ns: A stream that says nothing for so long is reported by a timer, and again with its full length when
            it speaks; 0 = never.
        ids_are_consecutive: Whether the venue numbers trades one after the other, so that a missing id is a missing
            trade.
    """

    def __init__(
        self,
        n_instruments: int,
        *,
        interval_ns: int = 0,
        silence_ns: int = 0,
        ids_are_consecutive: bool = True,
    ) -> None:
        if n_instruments < 1 or interval_ns < 0 or silence_ns < 0:
            raise ValueError(
                f"n_instruments must be >= 1, interval_ns and silence_ns >= 0, were {n_instruments}, {interval_ns},"
                f" {silence_ns}"
            )
        self._settings = (n_instruments, interval_ns, silence_ns, ids_are_consecutive)
        self._interval_ns, self._silence_ns = interval_ns, silence_ns
        self._ids_are_consecutive = ids_are_consecutive
        self._states = [_State() for _ in range(n_instruments)]

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what to call for which message."""
        return {
            Bar: self._on_bar,
            TradeEvent: self._on_trade,
            BookEvent: self._on_book,
            TimerFired: self._on_timer,
        }

    def snapshot(self) -> bytes:
        """Return the whole state, for `restore`."""
        return msgspec.json.encode((self._settings, self._states))

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot of a monitor with the same settings.

        Raises:
            InvariantError: Its settings were others.
        """
        settings, states = msgspec.json.decode(snapshot, type=tuple[tuple[int, int, int, bool], list[_State]])
        if settings != self._settings:
            raise InvariantError(f"a snapshot of a monitor {settings} can not go on as {self._settings}")
        self._states = states

    # --- messages ---

    def _on_bar(self, bar: Bar) -> list[Message]:
        state, open_ns = self._states[bar.instrument], bar.ts_open_ns
        last_ns, state.bar_open_ns = state.bar_open_ns, max(state.bar_open_ns, open_ns)
        if last_ns < 0 or not self._interval_ns:
            return []
        if open_ns == last_ns:
            return [_gap(bar, "duplicates", open_ns, open_ns, detail="a bar of the same time")]
        if open_ns < last_ns:
            return [_gap(bar, "out_of_order", open_ns, last_ns, detail="a bar older than the one before")]
        due_ns = last_ns + self._interval_ns
        if open_ns == due_ns:
            return []
        if open_ns < due_ns:
            return [_gap(bar, "off_schedule", open_ns, due_ns, detail="a bar before the last one ended")]
        n_missing = (open_ns - due_ns) // self._interval_ns
        check = "missing_bars" if n_missing else "off_schedule"
        return [_gap(bar, check, due_ns, open_ns, n_missing)]

    def _on_trade(self, trade: TradeEvent) -> list[Message]:
        stream = self._states[trade.instrument].trades
        since_ns = stream.last_ns
        found = self._heard(trade, stream, _TRADES)
        found += _venue_disorder(trade, stream)
        last_id, new_id = stream.last_id, trade.trade_id
        if new_id > 0:
            if new_id <= last_id and new_id in stream.recent:
                found.append(_gap(trade, "duplicates", trade.ts_ns, trade.ts_ns, detail=f"trade id {new_id}"))
            elif new_id < last_id:
                found.append(
                    _gap(
                        trade, "id_disorder", trade.ts_ns, trade.ts_ns, detail=f"id {new_id} after {last_id}"
                    )
                )
            elif last_id >= 0 and new_id > last_id + 1 and self._ids_are_consecutive:
                n_missing, detail = new_id - last_id - 1, f"ids {last_id + 1} to {new_id - 1}"
                found.append(_gap(trade, "missing_ids", since_ns, trade.ts_ns, n_missing, detail))
            stream.last_id = max(last_id, new_id)
            stream.recent.append(new_id)
            if len(stream.recent) > RECENT_IDS:
                del stream.recent[: RECENT_IDS // 2]
        return found

    def _on_book(self, event: BookEvent) -> list[Message]:
        stream = self._states[event.instrument].book
        since_ns = stream.last_ns
        found = self._heard(event, stream, _BOOK)
        last_id = stream.last_id
        if not event.is_snapshot:
            found += _venue_disorder(event, stream)
            if last_id >= 0 and event.first_update_id > last_id + 1:
                n_missing = event.first_update_id - last_id - 1
                detail = f"ids {last_id + 1} to {event.first_update_id - 1}"
                found.append(_gap(event, "sequence_holes", since_ns, event.ts_ns, n_missing, detail))
            elif 0 <= event.last_update_id <= last_id:
                detail = f"ids to {event.last_update_id} after {last_id}"
                found.append(_gap(event, "id_disorder", event.ts_ns, event.ts_ns, detail=detail))
            stream.last_id = max(last_id, event.last_update_id)
        return found

    def _on_timer(self, timer: TimerFired) -> list[Message]:
        stream_name = timer.key.removeprefix(_KEY)
        if timer.strategy_id or timer.key == stream_name or stream_name not in (_BOOK, _TRADES):
            return []
        state = self._states[timer.instrument]
        stream = state.book if stream_name == _BOOK else state.trades
        if timer.due_ns != stream.timer_ns:
            return []
        stream.timer_ns = -1
        if stream.last_ns + self._silence_ns > timer.ts_ns:
            return [self._timer(timer.ts_ns, timer.instrument, stream, stream_name)]
        detail = f"no {stream_name}, still silent"
        return [_gap(timer, "silences", stream.last_ns, timer.ts_ns, detail=detail)]

    # --- silence: one timer a stream, moved only when it fires ---

    def _heard(self, message: TradeEvent | BookEvent, stream: _Stream, name: str) -> list[Message]:
        since_ns, stream.last_ns = stream.last_ns, message.ts_ns
        if not self._silence_ns:
            return []
        found: list[Message] = []
        if 0 <= since_ns <= message.ts_ns - self._silence_ns:
            found.append(_gap(message, "silences", since_ns, message.ts_ns, detail=f"no {name}, over"))
        if stream.timer_ns < 0:
            found.append(self._timer(message.ts_ns, message.instrument, stream, name))
        return found

    def _timer(self, now_ns: int, instrument: int, stream: _Stream, name: str) -> TimerSet:
        stream.timer_ns = stream.last_ns + self._silence_ns
        return TimerSet(ts_ns=now_ns, instrument=instrument, key=_KEY + name, due_ns=stream.timer_ns)


def _venue_disorder(message: TradeEvent | BookEvent, stream: _Stream) -> list[Message]:
    before_ns, stream.venue_ns = stream.venue_ns, max(stream.venue_ns, message.ts_venue_ns)
    if message.ts_venue_ns >= before_ns:
        return []
    return [_gap(message, "venue_disorder", message.ts_venue_ns, before_ns)]


def _gap(
    cause: Bar | TradeEvent | BookEvent | TimerFired,
    check: str,
    from_ns: int,
    to_ns: int,
    n_missing: int = 0,
    detail: str = "",
) -> DataGap:
    return DataGap(
        ts_ns=cause.ts_ns,
        instrument=cause.instrument,
        check=check,
        from_ns=from_ns,
        to_ns=to_ns,
        n_missing=n_missing,
        detail=detail,
    )
