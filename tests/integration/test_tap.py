"""What the tap publishes and where it goes on: every message of a stream topic, whatever became of Redis or of the tap."""

import errno
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.adapters.redis_bus import RedisBus
from njord.adapters.redis_session import SessionStream
from njord.apps.feed_file import FeedFile
from njord.apps.tap_journal import Tap, session_id
from njord.apps.tap_market import TapMarket
from njord.backtest.feed_blocks import FEED_NAME
from njord.core.bus import BusUnavailable, decode_frame
from njord.core.bus_reader import IdempotentReader
from njord.core.contracts import Bar
from njord.core.errors import JournalError
from njord.core.instrument import Instrument
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import read_blocks
from tests.integration.tap_bench import INTENTS, intents, message, tap_of, write
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def test_every_message_of_a_stream_topic_comes_once_in_order_in_frames_of_the_journals_lines(
    tmp_path: Path, bus: RedisBus
) -> None:
    writer = JournalWriter(tmp_path / "journal")
    write(writer, 2_000, block=700)
    assert tap_of(tmp_path, bus).step() == 2_000 - 600
    reader = IdempotentReader(bus.consumer("strat.intent", "g", "a"))
    received = reader.read()
    lines = {
        line.seq: b'{"seq":%d,"message":%b}' % (line.seq, line.message)
        for block in read_blocks(tmp_path / "journal")
        for line in block.lines
    }
    assert [(each.seq, each.payload) for each in received] == [
        (number, lines[number]) for number in INTENTS if number <= 2_000
    ]
    frames = [each.frame for each in bus.consumer("strat.intent", "h", "a").read()]
    assert [len(each.payloads) for each in frames] == [256, 256, 256, 256, 176]
    assert [each.previous_seq for each in frames] == [0, *(each.last_seq for each in frames[:-1])]
    assert reader.n_duplicates == 0
    writer.close()


def test_what_is_not_committed_is_not_there_yet_and_comes_once_it_is(tmp_path: Path, bus: RedisBus) -> None:
    writer, tap = JournalWriter(tmp_path / "journal", segment_bytes=2_000), tap_of(tmp_path, bus)
    for number in range(1, 200):
        writer.append(message(number))
        if number % 7 == 0:
            writer.commit()
            tap.step()
            assert intents(bus)[-1:] == [each for each in INTENTS if each <= number][-1:]
    assert tap.step() == 0
    writer.close()
    tap.step()
    assert tap.has_ended
    assert intents(bus) == [number for number in INTENTS if number < 200]


def test_a_new_tap_goes_on_behind_the_last_published_block(tmp_path: Path, bus: RedisBus) -> None:
    writer = JournalWriter(tmp_path / "journal")
    for n_messages in (100, 200, 300):
        write(writer, n_messages)
        tap = tap_of(tmp_path, bus)
        tap.step()
        assert tap.seq == n_messages
        assert intents(bus) == [number for number in INTENTS if number <= n_messages]
    frames = [each.frame for each in bus.consumer("strat.intent", "h", "a").read()]
    assert [each.previous_seq for each in frames] == [0, *(each.last_seq for each in frames[:-1])]
    assert len(frames) == 3
    writer.close()


@pytest.mark.parametrize("stays_connected", [True, False])
def test_an_emptied_redis_gets_everything_again_and_a_reader_drops_what_it_has(
    tmp_path: Path, bus: RedisBus, server: RedisServer, stays_connected: bool
) -> None:
    writer, tap = JournalWriter(tmp_path / "journal"), tap_of(tmp_path, bus)
    reader = IdempotentReader(bus.consumer("strat.intent", "g", "a"))
    write(writer, 100)
    tap.step()
    received = reader.read()
    server.flush()
    write(writer, 200)
    if not stays_connected:
        tap = tap_of(tmp_path, bus)
    tap.step()
    tap.step()  # The first found Redis elsewhere, if it thought that it knew.
    assert intents(bus) == [number for number in INTENTS if number <= 200]
    while more := reader.read():
        received += more
    assert [each.seq for each in received] == [number for number in INTENTS if number <= 200]
    assert reader.n_duplicates == len([number for number in INTENTS if number <= 100])
    writer.close()


def test_an_idle_tap_notices_an_emptied_redis_when_it_doubts(
    tmp_path: Path, bus: RedisBus, server: RedisServer
) -> None:
    writer, tap = JournalWriter(tmp_path / "journal"), tap_of(tmp_path, bus)
    write(writer, 100)
    tap.step()
    server.flush()
    assert tap.step() == 0  # There is nothing to write, so nothing is asked.
    tap.doubt()
    assert tap.step() == len(intents(bus)) + 10
    writer.close()


def test_a_lost_answer_is_found_out_and_nothing_is_written_twice(
    tmp_path: Path, bus: RedisBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(tmp_path / "journal")
    session = session_id(tmp_path)
    stream = SessionStream(bus, session, 10_000)
    tap, publish = Tap(tmp_path, stream, session), stream.publish

    def lost(*arguments: object) -> None:
        publish(*arguments)  # type: ignore[arg-type]  # Whatever the tap hands over.
        raise BusUnavailable("the answer was lost")

    write(writer, 100)
    monkeypatch.setattr(stream, "publish", lost)
    with pytest.raises(BusUnavailable):
        tap.step()
    monkeypatch.setattr(stream, "publish", publish)
    write(writer, 200)
    tap.step()
    assert intents(bus) == [number for number in INTENTS if number <= 200]
    assert tap.counts.n_restarts == 0
    writer.close()


def test_nothing_is_published_that_a_power_cut_could_take_out_of_the_journal(
    tmp_path: Path, bus: RedisBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, tap = JournalWriter(tmp_path / "journal"), tap_of(tmp_path, bus)
    write(writer, 100)

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("njord.storage.journal_follow.os.fsync", broken)
        with pytest.raises(JournalError, match=r"000001\.ndjson can not be synced"):
            tap.step()
        assert intents(bus) == []
    tap.step()
    assert intents(bus) == [number for number in INTENTS if number <= 100]
    writer.close()


def test_two_taps_of_one_session_lose_nothing_and_leave_it_to_the_reader(
    tmp_path: Path, bus: RedisBus
) -> None:
    writer = JournalWriter(tmp_path / "journal")
    taps = [tap_of(tmp_path, bus), tap_of(tmp_path, bus)]
    for n_messages in range(40, 400, 40):
        write(writer, n_messages)
        for tap in taps if n_messages % 80 else reversed(taps):
            tap.step()
            tap.step()
    reader = IdempotentReader(bus.consumer("strat.intent", "g", "a"))
    assert [each.seq for each in reader.read()] == [number for number in INTENTS if number <= 360]
    writer.close()


def test_a_resumed_session_is_followed_over_its_seam(tmp_path: Path, bus: RedisBus) -> None:
    writer, tap = JournalWriter(tmp_path / "journal"), tap_of(tmp_path, bus)
    write(writer, 50)
    with (tmp_path / "journal" / "000001.ndjson").open("ab") as file:
        file.write(b'{"seq":51,"message":{"kind":"OrderIntent","ts_ns":1,"intent_')
    tap.step()
    resumed, seam = JournalWriter.resume(tmp_path / "journal")
    assert seam is not None
    write(resumed, 100)
    tap.step()
    assert intents(bus) == [number for number in INTENTS if number <= 100]
    resumed.close()


def test_a_journal_that_is_not_the_published_one_is_refused(tmp_path: Path, bus: RedisBus) -> None:
    writer = JournalWriter(tmp_path / "journal")
    write(writer, 100)
    tap_of(tmp_path, bus).step()
    writer.close()
    shutil.rmtree(tmp_path / "journal")
    other = JournalWriter(tmp_path / "journal")
    write(other, 100, block=30)
    with pytest.raises(JournalError, match=r"message 100 of the session .* is published"):
        tap_of(tmp_path, bus).step()
    other.close()
    assert intents(bus) == [number for number in INTENTS if number <= 100]


def test_a_session_is_named_after_its_folder_and_its_beginning(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    assert session_id(folder) == "mine"
    (folder / "session.json").write_text('{"kind": "paper", "started_ns": 17}')
    assert session_id(folder) == "mine@17"


def test_a_live_sessions_market_data_come_from_its_feed_file_while_it_grows(
    tmp_path: Path, bus: RedisBus
) -> None:
    instrument = Instrument(
        symbol="BTC/USDT",
        venue="x",
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
    )
    facts: dict[str, Any] = {
        "run_id": "r",
        "strategies": [],
        "data": [],
        "bar_options": {},
        "start_ns": None,
        "end_ns": None,
        "instruments": [msgspec.to_builtins(instrument)],
        "qty": None,
        "config": {},
    }
    (tmp_path / "session.json").write_bytes(msgspec.json.encode(facts))
    listener = bus.subscribe(["md.*"])
    heard: list[int] = []
    writer = JournalWriter(tmp_path / "journal")
    with FeedFile(tmp_path / FEED_NAME) as feed:
        session = session_id(tmp_path)
        stream = SessionStream(bus, session, 1_000)
        tap = Tap(tmp_path, stream, session, lambda: TapMarket(tmp_path, bus, session))
        for minute in range(1, 6):
            block = feed.append(
                [
                    Bar(
                        ts_ns=60 * n * 10**9,
                        instrument=0,
                        ts_open_ns=60 * (n - 1) * 10**9,
                        open=n,
                        high=n,
                        low=n,
                        close=n,
                    )
                    for n in (2 * minute - 1, 2 * minute)
                ]
            )
            for told in (*block.refs, *block.messages):
                writer.append(told)
            write(writer, writer.n_messages + 3)
            tap.step()
            assert tap.note == ""
            for each in listener.read(1_000):
                assert each.topic == "md.ohlcv.1m.BTC/USDT"
                frame = decode_frame(each.payload)
                heard += [msgspec.json.decode(line)["message"]["close"] for line in frame.payloads]
            assert heard == list(range(1, 2 * minute + 1))
        tap.close()
    listener.close()
    writer.close()
