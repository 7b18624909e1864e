"""The live adapter's shell on real sockets: what leaves, to whom, what comes back, and by when, whatever the other does."""

import asyncio
import gzip
import hashlib
import hmac
import json
import ssl
import threading
import time
from asyncio import StreamWriter as Writer
from functools import partial
from urllib.parse import parse_qsl

import pytest

from njord.core.errors import ConfigError, InvariantError, VenueUnavailable
from njord.core.units import NS_PER_S
from njord.exchange.tls import throwaway
from njord.venues.binance_options import StreamKind, StreamWish
from njord.venues.broker_wire import Answer, NoAnswer
from njord.venues.ccxt_broker import check_version
from njord.venues.ccxt_broker_door import BODY_BYTES_MAX, Way
from tests.integration.broker_world import (
    KEY,
    LISTEN,
    SECRET,
    SIGNATURE,
    WITHIN_S,
    Behave,
    Heard,
    RawServer,
    RecordingResolver,
    ScriptedCore,
    WsServer,
    answer,
    frame,
    shell_at,
    until,
)

pytestmark = pytest.mark.integration

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "price": "60000.10",
    "newClientOrderId": "NJ-1",
    "note": "a b&c=d",
}
LATE_S = 1.0
OK = b'{"orderId": 12345678901234567890, "price": "0.10000000000000000000000001"}'


async def polite(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(answer(OK, headers="X-MBX-USED-WEIGHT-1M: 7\r\n"))
    await writer.drain()


async def silent(server: RawServer, heard: Heard, writer: Writer) -> None:
    await asyncio.sleep(60)


def test_a_signed_request_carries_our_timestamp_window_and_id_and_no_tag_of_ccxt() -> None:
    with RawServer(polite) as server, shell_at(server.url) as world:
        got = world.ask("POST", "order", ORDER, ts_ms=1_700_000_000_123)
        (heard,) = server.heard
    sent = dict(parse_qsl(heard.body))
    assert heard.line == "POST /api/v3/order HTTP/1.1"
    assert sent.pop("timestamp") == "1700000000123"
    assert sent.pop("recvWindow") == "5000"
    signed, _, signature = heard.body.partition("&signature=")
    assert signature == hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    assert sent == {**ORDER, "signature": signature}
    assert heard.headers["x-mbx-apikey"] == KEY
    assert SECRET not in repr(heard)
    assert isinstance(got, Answer)
    assert got.body == OK, "the body is the text that came: no float has touched it"
    assert got.headers["x-mbx-used-weight-1m"] == "7"


@pytest.mark.parametrize("path", ["order", "order/cancelReplace"])
def test_an_order_without_an_id_of_ours_ends_the_shell_before_it_leaves(path: str) -> None:
    core = ScriptedCore()
    core.breaks = True
    with RawServer(polite) as server, shell_at(server.url, core) as world:
        world.send("POST", path, {"symbol": "BTCUSDT"})
        assert until(lambda: world.shell.broken is not None)
        assert isinstance(world.shell.broken, InvariantError)
        assert server.heard == []
        with pytest.raises(VenueUnavailable, match="an order without an id of ours"):
            world.shell.call(lambda core, now_ns: None, 1)


def test_a_shell_that_only_reads_sends_no_order_and_no_cancel() -> None:
    with RawServer(polite) as server, shell_at(server.url, reads_only=True) as world:
        for method, path in (("POST", "order"), ("DELETE", "order"), ("POST", "order/cancelReplace")):
            assert world.ask(method, path, ORDER) == NoAnswer(
                was_sent=False, detail="this connection only reads"
            )
        assert isinstance(world.ask("GET", "order", {"symbol": "BTCUSDT"}), Answer)
        assert [heard.line.split()[0] for heard in server.heard] == ["GET"]


def test_a_cancel_waits_behind_nothing() -> None:
    async def slow_but_for_cancels(server: RawServer, heard: Heard, writer: Writer) -> None:
        if heard.line.startswith("DELETE"):
            await polite(server, heard, writer)
        else:
            await silent(server, heard, writer)

    with RawServer(slow_but_for_cancels) as server, shell_at(server.url) as world:
        for number in range(120):
            world.send("POST", "order", {**ORDER, "newClientOrderId": f"NJ-{number}"}, within_s=50)
            world.send("GET", "account", within_s=50)
        canceled = world.ask("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "NJ-1"})
        assert isinstance(canceled, Answer)
        assert [*world.core.answers.values()] == [canceled], "it came behind the others"


async def html(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(
        answer(b"<html><body>502 Bad Gateway</body></html>", "502 Bad Gateway", "Content-Type: text/html\r\n")
    )


async def huge(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n" + b"[" + b" " * (10 << 20))
    await writer.drain()


async def bomb(server: RawServer, heard: Heard, writer: Writer) -> None:
    packed = gzip.compress(b" " * (64 << 20))
    writer.write(answer(packed, headers="Content-Encoding: gzip\r\n"))


async def slow(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.2)


async def slow_head(server: RawServer, heard: Heard, writer: Writer) -> None:
    for letter in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" * 100:
        writer.write(bytes([letter]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def cut(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"orderId"')
    await writer.drain()
    writer.transport.abort()


async def hang_up(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.transport.abort()


async def not_gzip(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(answer(b"this is no gzip at all", headers="Content-Encoding: gzip\r\n"))


async def unknown_encoding(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(answer(b"\x28\xb5\x2f\xfd\x04\x00", headers="Content-Encoding: rot13\r\n"))


async def no_http(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(b"\x16\x03\x01 SSH-2.0-OpenSSH\r\n\r\n")
    await writer.drain()
    writer.close()


async def elsewhere(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(answer(b"", "307 Temporary Redirect", "Location: https://api.binance.com/api/v3/order\r\n"))


async def next_door(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(answer(b"", "301 Moved Permanently", "Location: /api/v3/account\r\n"))


async def header_flood(server: RawServer, heard: Heard, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200_000):
        writer.write(f"X-{number}: {'y' * 200}\r\n".encode())
        await writer.drain()


HOSTILE: dict[Behave, str] = {
    huge: "an answer larger than any of the venue's",
    bomb: "an answer larger than any of the venue's",
    slow: "no answer in time",
    slow_head: "no answer in time",
    silent: "no answer in time",
    cut: "the answer broke off, or can not be unpacked",
    hang_up: "the connection broke",
    not_gzip: "the answer broke off, or can not be unpacked",
    no_http: "the answer is no HTTP",
    elsewhere: "the answer is a redirect, which is not followed",
    next_door: "the answer is a redirect, which is not followed",
    header_flood: "the answer is no HTTP",
}


@pytest.mark.parametrize(("behave", "told"), HOSTILE.items())
def test_a_hostile_answer_to_an_order_is_no_answer_in_bounded_time_and_sent_once(
    behave: Behave, told: str
) -> None:
    within_s = 1.5 if told == "no answer in time" else 20.0
    with RawServer(behave) as server, shell_at(server.url) as world:
        got = world.ask("POST", "order", ORDER, within_s=within_s)
        assert isinstance(got, NoAnswer)
        assert got.was_sent, "it may have been done: nobody knows"
        assert got.detail.startswith(told)
        assert len(server.heard) == 1, "nothing is sent a second time"
        again = world.ask("GET", "openOrders", {"symbol": "BTCUSDT"}, within_s=1.5)
        assert isinstance(again, NoAnswer), "and the shell is as well as before"


@pytest.mark.timing
@pytest.mark.parametrize("behave", [silent, slow, slow_head])
def test_a_deadline_is_kept_whatever_the_other_does(behave: Behave) -> None:
    with RawServer(behave) as server, shell_at(server.url) as world:
        late_s = []
        for _ in range(5):
            begun = time.monotonic()
            assert isinstance(world.ask("POST", "order", ORDER, within_s=0.5), NoAnswer)
            late_s.append(time.monotonic() - begun - 0.5)
            if late_s[-1] < LATE_S:
                return
        raise AssertionError(f"later than its deadline by {late_s} s")


@pytest.mark.parametrize("behave", [html, unknown_encoding])
def test_what_is_an_answer_is_handed_on_as_it_came_however_strange(behave: Behave) -> None:
    with RawServer(behave) as server, shell_at(server.url) as world:
        got = world.ask("POST", "order", ORDER)
        assert isinstance(got, Answer)
        assert got.body


def test_a_query_is_not_repeated_behind_our_back_when_a_kept_connection_breaks() -> None:
    async def once(server: RawServer, heard: Heard, writer: Writer) -> None:
        if len(server.heard) == 1:
            await polite(server, heard, writer)
        else:
            writer.transport.abort()

    with RawServer(once) as server, shell_at(server.url) as world:
        assert isinstance(world.ask("GET", "account"), Answer)
        got = world.ask("GET", "account")
        assert isinstance(got, NoAnswer)
        assert got.was_sent
        assert len(server.heard) == 2, "CCXT or aiohttp asked again by itself"


def test_where_nobody_listens_nothing_was_sent() -> None:
    with RawServer(polite) as server:
        url = server.url
    with shell_at(url) as world:
        assert world.ask("POST", "order", ORDER) == NoAnswer(was_sent=False, detail="no connection")


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    with RawServer(polite) as server, shell_at(server.url) as world:
        got = world.ask("POST", "order", ORDER, within_s=-1)
        assert got == NoAnswer(was_sent=False, detail="it came too late to be sent")
        assert server.heard == []


def test_a_certificate_of_another_is_refused_before_the_key_is_sent() -> None:
    context, _ = throwaway(("evil.example",))
    with RawServer(polite, context) as server, shell_at(server.url) as world:
        got = world.ask("POST", "order", ORDER)
        assert got == NoAnswer(was_sent=False, detail="the certificate is not the venue's")
        assert server.heard == []
    core = ScriptedCore(SIGNATURE)
    with RawServer(polite, context) as server, shell_at(server.url, core):
        assert until(lambda: core.stream)
        assert core.stream == ["closed: the certificate is not the venue's"]
        assert server.heard == []


def test_without_tls_only_this_machine_is_talked_to() -> None:
    with pytest.raises(ConfigError, match="another machine and has no TLS"), shell_at("http://192.0.2.1:80"):
        pass


# --- the venue's own addresses ---


def _trusting(pem: str, resolver: RecordingResolver) -> Way:
    return Way(resolver=resolver, tls=ssl.create_default_context(cadata=pem))


@pytest.mark.parametrize(
    ("wish", "host"),
    [(SIGNATURE, "ws-api.binance.us"), (LISTEN, "stream.binance.us")],
    ids=["signature", "listen_key"],
)
def test_no_host_but_the_venues_is_ever_asked_for(
    wish: StreamWish, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")

    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        if "ws" not in heard.line:
            await polite(server, heard, writer)

    context, pem = throwaway()
    core = ScriptedCore(wish)
    with RawServer(behave, context) as server:
        resolver = RecordingResolver(server.port)
        with shell_at(None, core, way=_trusting(pem, resolver)) as world:
            for method, path in (
                ("GET", "time"), ("GET", "exchangeInfo"), ("GET", "account"), ("POST", "order"), ("DELETE", "order"),
                ("GET", "order"), ("GET", "openOrders"), ("GET", "myTrades"), ("POST", "userDataStream"),
                ("PUT", "userDataStream"),
            ):  # fmt: skip
                assert isinstance(world.ask(method, path, ORDER), Answer), path
            assert until(lambda: any("ws" in heard.line for heard in server.heard))
        assert {*resolver.hosts} == {"api.binance.us", host}
        assert {heard.headers["host"].partition(":")[0] for heard in server.heard} == {"api.binance.us", host}


# --- the user stream ---

REPORT = '{"e":"executionReport","s":"BTCUSDT","c":"NJ-1","L":"0.10000000"}'
WRAPPED = '{"subscriptionId":0,"event":' + REPORT + "}"


def test_events_come_as_they_were_written_though_ccxt_would_merge_or_drop_them() -> None:
    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        writer.write(frame('{"id":"1","status":200,"result":{"subscriptionId":0}}'))
        # Twice the same order in one packet, and a kind that CCXT does not know.
        writer.write(
            frame(WRAPPED) * 2 + frame('{"event":{"e":"somethingNew","n":1}}') + frame(WRAPPED, opcode=2)
        )
        await writer.drain()
        await asyncio.sleep(60)

    core = ScriptedCore(SIGNATURE)
    with RawServer(behave) as server, shell_at(server.url, core):
        assert until(lambda: len(core.stream) >= 5)
        wrapped = WRAPPED.encode()
        new = b'{"event":{"e":"somethingNew","n":1}}'
        assert core.stream == ["opened", wrapped, wrapped, new, wrapped]


def test_the_subscription_is_signed_with_the_venues_time() -> None:
    said: list[dict[str, object]] = []
    core = ScriptedCore(SIGNATURE)
    core.clock_offset_ns = 3600 * NS_PER_S
    with WsServer(said) as server, shell_at(server.url, core):
        assert until(lambda: core.stream)
    (call,) = said
    params = call["params"]
    assert isinstance(params, dict)
    assert call["method"] == "userDataStream.subscribe.signature"
    assert params["apiKey"] == KEY
    assert abs(int(params["timestamp"]) - 3_600_000 - time.time_ns() // 1_000_000) < 60_000


@pytest.mark.parametrize("opcode", [1, 2])
@pytest.mark.parametrize("junk", ["{", "[" * 100_000, "null", '{"e":5}', "\x00", "<html>"])
def test_a_frame_that_is_no_event_ends_the_stream_by_name_and_not_the_shell(junk: str, opcode: int) -> None:
    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        writer.write(frame('{"id":"1","status":200,"result":{"subscriptionId":0}}') + frame(junk, opcode))
        await writer.drain()
        await asyncio.sleep(60)

    core = ScriptedCore(SIGNATURE)
    with RawServer(behave) as server, shell_at(server.url, core):
        assert until(lambda: len(core.stream) >= 2)
        assert core.stream == ["opened", "closed: it said something that is no event"]


def test_a_refused_subscription_is_told_with_the_venues_code() -> None:
    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        writer.write(
            frame('{"id":"1","status":401,"error":{"code":-2015,"msg":"Invalid API-key, IP,\\nor so"}}')
        )
        await writer.drain()
        await asyncio.sleep(60)

    core = ScriptedCore(SIGNATURE)
    with RawServer(behave) as server, shell_at(server.url, core):
        assert until(lambda: core.stream)
        assert core.stream == ["closed: the subscription was refused: 401, -2015 Invalid API-key, IP,?or so"]


def test_a_socket_on_which_nothing_comes_any_more_is_declared_dead() -> None:
    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        await asyncio.sleep(60)  # Open, and not even a pong.

    core = ScriptedCore(LISTEN)
    with RawServer(behave) as server, shell_at(server.url, core, stream_silent_s=0.6):
        assert until(lambda: len(core.stream) >= 2)
        assert core.stream == ["opened", "closed: it has been silent for 0.6 s, pings included"]


def test_a_stream_that_does_not_open_is_given_up() -> None:
    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        await asyncio.sleep(60)  # The subscription is never answered.

    core = ScriptedCore(SIGNATURE)
    with RawServer(behave) as server, shell_at(server.url, core, stream_open_s=0.5):
        assert until(lambda: core.stream)
        assert core.stream == ["closed: it did not open in time"]


def test_another_generation_closes_the_old_stream_silently_and_opens_a_new_one() -> None:
    said: list[dict[str, object]] = []
    core = ScriptedCore(SIGNATURE)

    def wished(wish: StreamWish, _: object, now_ns: int) -> None:
        core.wants_stream = wish

    def has_said(n: int) -> bool:
        return len(core.stream) == n

    with WsServer(said) as server, shell_at(server.url, core) as world:
        assert until(lambda: core.stream == ["opened"])
        for number in range(2, 32):
            wish = StreamWish(kind=StreamKind.SIGNATURE, generation=number)
            world.shell.call(partial(wished, wish), WITHIN_S)
            assert until(partial(has_said, number))
        assert core.stream == ["opened"] * 31
        assert until(lambda: server.n_open == 1), "a subscription leaked"


def test_every_frame_of_a_burst_comes_through() -> None:
    """Older releases of CCXT stall for good after bursts of 200 frames (the venue's are smaller, and come daily)."""
    n_bursts, n_frames = 40, 200
    text = json.dumps({"subscriptionId": 0, "event": {"e": "executionReport", "pad": "x" * 400}})

    async def behave(server: RawServer, heard: Heard, writer: Writer) -> None:
        writer.write(frame('{"id":"1","status":200,"result":{"subscriptionId":0}}'))
        for _ in range(n_bursts):
            writer.write(frame(text) * n_frames)
            await writer.drain()
            await asyncio.sleep(0.02)
        await asyncio.sleep(60)

    core = ScriptedCore(SIGNATURE)
    with RawServer(behave) as server, shell_at(server.url, core):
        assert until(lambda: len(core.stream) > n_bursts * n_frames), f"stalled at {len(core.stream)}"
        assert core.stream == ["opened", *[text.encode()] * (n_bursts * n_frames)]


def test_older_releases_are_refused() -> None:
    for old in ("4.5.89", "4.5.9", "4.4.100", "3.1.60"):
        with pytest.raises(ConfigError, match=r"ccxt must be 4\.5\.90 or newer"):
            check_version(old)
    for new in ("4.5.90", "4.6.0", "5.0.0b1"):
        check_version(new)


# --- time ---


def test_the_core_is_woken_when_it_wants_to_be() -> None:
    core = ScriptedCore()
    with RawServer(polite) as server, shell_at(server.url, core) as world:
        wants: list[int] = []

        def wish(_: object, now_ns: int) -> None:
            core.next_wake_ns = now_ns + NS_PER_S // 5
            wants.append(core.next_wake_ns)

        world.shell.call(wish, WITHIN_S)
        assert until(lambda: core.woken)
        assert wants[0] <= core.woken[0]


def test_a_host_that_is_not_answered_in_time_knows_that_nothing_was_done() -> None:
    core = ScriptedCore()
    with RawServer(polite) as server, shell_at(server.url, core) as world:
        free, done = threading.Event(), threading.Event()
        world.shell.submit(lambda _, now_ns: free.wait(WITHIN_S))
        with pytest.raises(VenueUnavailable, match="nothing was done"):
            world.shell.call(lambda _, now_ns: done.set(), 0.05)
        free.set()
        world.shell.call(lambda _, now_ns: None, WITHIN_S)
        assert not done.is_set()


def test_nothing_of_the_keys_is_in_what_is_said_of_trouble() -> None:
    with RawServer(hang_up) as server, shell_at(server.url) as world:
        said = [
            str(world.ask("POST", "order", ORDER)),
            str(world.ask("GET", "account")),
            repr(world.shell.broken),
        ]
    assert not [text for text in said if KEY in text or SECRET in text or "signature" in text]
    assert BODY_BYTES_MAX < 10 << 20
