"""The exchange on sockets: what `Fate` says of a request happens to it, connections end cleanly, and the verb tells how."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_writer import StreamWriter
from aiohttp.test_utils import make_mocked_request

from njord.adapters.clock import WallClock
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_S
from njord.exchange.server import Address, Host, serve, serve_in_thread
from njord.exchange.tls import throwaway
from njord.exchange.wire import UNTROUBLED, Fate, Frame, Request, Response

pytestmark = pytest.mark.integration

NJORD = str(Path(sys.executable).with_name("njord"))


class Echo:
    """A `Served` that repeats what it hears, lets the way do as told, and notes what comes."""

    def __init__(self, fate: Fate = UNTROUBLED) -> None:
        self.way = fate
        self.heard: list[str] = []
        self.now_ns = 0
        self.open: set[int] = set()
        self._frames: list[Frame] = []

    def advance(self, now_ns: int) -> None:
        assert now_ns >= self.now_ns
        self.now_ns = now_ns

    @property
    def next_ns(self) -> int:
        return 2**63 - 1

    def fate(self, request: Request, now_ns: int) -> Fate:
        return self.way

    def request(self, request: Request, now_ns: int) -> Response:
        assert now_ns == self.now_ns
        self.heard.append(f"{request.method} {request.path}?{request.query} {request.body} {request.address}")
        return Response(status=418, body=b'{"said":"yes"}', headers={"retry-after": "3"})

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        self.open.add(connection)
        return path != "/no"

    def said(self, connection: int, text: str, now_ns: int) -> None:
        if text.startswith("close"):
            self._frames.append(Frame(connection, None, int(text[5:])))
        else:
            self._frames.append(Frame(connection, text.upper()))

    def closed(self, connection: int, now_ns: int) -> None:
        self.open.discard(connection)

    def frames(self) -> list[Frame]:
        frames, self._frames = self._frames, []
        return frames


def talk(served: Echo, do: Callable[[aiohttp.ClientSession, Address], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serve(served, port=0) as address, aiohttp.ClientSession() as session:
            await asyncio.wait_for(do(session, address), 100)

    asyncio.run(main())


def test_a_request_arrives_as_it_was_written_and_its_answer_comes_back() -> None:
    echo = Echo()

    async def do(session: aiohttp.ClientSession, address: Address) -> None:
        from yarl import URL

        url = URL(f"{address.rest}/api/v3/order?b=%5B%22X%22%5D&a=1%2C2", encoded=True)
        async with session.post(url, data="symbol=B%20C&x=1") as response:
            assert (response.status, response.headers["retry-after"]) == (418, "3")
            assert await response.json() == {"said": "yes"}

    talk(echo, do)
    assert echo.heard == ["POST /api/v3/order?b=%5B%22X%22%5D&a=1%2C2 symbol=B%20C&x=1 127.0.0.1"]


@pytest.mark.parametrize(
    ("fate", "n_heard", "trouble"),
    [
        (Fate(loses_request=True), 0, TimeoutError),
        (Fate(loses_response=True), 1, TimeoutError),
        (Fate(request_delay_ns=60 * NS_PER_S), 0, TimeoutError),
        (Fate(response_delay_ns=60 * NS_PER_S), 1, TimeoutError),
        (Fate(bytes_per_s=10), 1, TimeoutError),
        (Fate(cuts_at=5), 1, aiohttp.ClientPayloadError),
        (Fate(cuts_at=0), 1, aiohttp.ClientError),
    ],
)
def test_what_the_way_does_to_a_request_happens(fate: Fate, n_heard: int, trouble: type[Exception]) -> None:
    echo = Echo(fate)

    async def do(session: aiohttp.ClientSession, address: Address) -> None:
        with pytest.raises(trouble):
            async with session.get(f"{address.rest}/x", timeout=aiohttp.ClientTimeout(total=1.0)) as response:
                await response.read()
        assert len(echo.heard) == n_heard
        echo.way = UNTROUBLED
        async with session.get(f"{address.rest}/y") as response:
            assert response.status == 418

    talk(echo, do)


def test_a_request_on_its_way_arrives_though_its_caller_has_given_up() -> None:
    echo = Echo(Fate(request_delay_ns=2 * NS_PER_S))

    async def do(session: aiohttp.ClientSession, address: Address) -> None:
        with pytest.raises(TimeoutError):
            await session.post(f"{address.rest}/x", timeout=aiohttp.ClientTimeout(total=0.5))
        assert echo.heard == []
        while not echo.heard:
            await asyncio.sleep(0.01)

    talk(echo, do)


def test_a_slow_answer_is_whole_in_the_end() -> None:
    async def do(session: aiohttp.ClientSession, address: Address) -> None:
        async with session.get(f"{address.rest}/x") as response:
            assert await response.read() == b'{"said":"yes"}'

    begin = time.monotonic()
    talk(Echo(Fate(bytes_per_s=40)), do)
    assert time.monotonic() - begin > 0.25


def test_a_connection_talks_and_is_closed_with_the_venues_code_or_just_breaks() -> None:
    echo = Echo()

    async def do(session: aiohttp.ClientSession, address: Address) -> None:
        for text, code in (("close1008", 1008), ("close1006", 1006)):
            async with session.ws_connect(f"{address.ws}/ws") as socket:
                await socket.send_str("hello")
                assert (await socket.receive_str()) == "HELLO"
                await socket.send_str(text)
                assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
                assert socket.close_code == code
        while echo.open:
            await asyncio.sleep(0.01)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{address.ws}/no")

    talk(echo, do)


def test_open_connections_do_not_hold_up_the_end() -> None:
    async def main() -> float:
        async with aiohttp.ClientSession() as session:
            async with serve(Echo(Fate(loses_response=True)), port=0) as address:
                socket = await session.ws_connect(f"{address.ws}/ws")
                lost = asyncio.ensure_future(session.get(f"{address.rest}/x"))
                await asyncio.sleep(0.05)
                begin = time.monotonic()
            took = time.monotonic() - begin
            await socket.close()
            await asyncio.gather(lost, return_exceptions=True)
        return took

    assert asyncio.run(main()) < 60  # A lost answer is waited for ten minutes.


def test_a_taken_port_is_one_line_that_names_the_way_out() -> None:
    with serve_in_thread(Echo()) as host:
        taken = pytest.raises(
            ConfigError, match=r"port \d+ of 127.0.0.1 is taken; choose another with --port"
        )
        with taken, serve_in_thread(Echo(), host.address.port):
            pass
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{host.address.rest}/x", timeout=60)
        assert caught.value.code == 418
        caught.value.close()


def test_the_thread_that_serves_can_be_asked_to_do_something() -> None:
    echo = Echo()
    with serve_in_thread(echo) as host:
        before_ns = host.call(lambda: echo.now_ns)
        assert 0 < before_ns <= WallClock().now_ns()


def test_tls_is_verified_against_the_certificate_of_the_moment_and_no_other() -> None:
    context, pem = throwaway()
    trusting = ssl.create_default_context(cadata=pem)

    async def main() -> None:
        async with serve(Echo(), port=0, tls=context) as address, aiohttp.ClientSession() as session:
            assert address.rest.startswith("https://")
            async with session.get(f"{address.rest}/x", ssl=trusting) as response:
                assert response.status == 418
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"{address.rest}/x")

    asyncio.run(main())


def venue(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [NJORD, "venue", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_verb_serves_until_it_is_stopped_and_says_what_it_serves(tmp_path: Path, number: int) -> None:
    with venue(tmp_path, "--json", "--account", "alice:BTC=2,USDT=500", "--symbol", "BTC/USDT") as process:
        assert process.stdout is not None
        serving = json.loads(process.stdout.readline())
        assert (serving["event"], serving["symbols"]) == ("serving", ["BTC/USDT"])
        (alice,) = serving["accounts"]
        assert alice["balances"] == {"BTC": "2", "USDT": "500"}
        assert alice["key"].startswith("ToyKeyOfNoWorth")
        assert len(alice["key"]) == len(alice["secret"]) == 64
        with urllib.request.urlopen(f"{serving['rest']}/api/v3/ticker/bookTicker?symbol=BTCUSDT") as answer:
            assert float(json.load(answer)["bidPrice"]) > 0
        with urllib.request.urlopen(f"{serving['rest']}/njord/faults") as answer:
            assert json.load(answer) == {"faults": []}
        process.send_signal(number)
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert json.loads(out) == {"event": "stopped", "reason": f"signal {signal.Signals(number).name}"}
    assert err == ""


def test_the_command_of_the_page_prints_where_it_is_and_who_trades(tmp_path: Path) -> None:
    page = "njord venue --synthetic --account alice:BTC=1,USDT=10000"
    with venue(tmp_path, *page.split()[2:]) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(6)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    assert told[0].startswith("exchange http://127.0.0.1:")
    assert told[1] == "market   synthetic, seed 1: BTC/USDT, ETH/USDT\n"
    assert told[2] == "account  alice: 1 BTC, 10000 USDT\n"
    assert "of no worth" in told[5]
    assert out.splitlines()[-1] == "stopped  signal SIGINT"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "99999"), "Invalid value for '--port'"),
        (("--data", "nothing.csv"), "nothing.csv"),
        (("--synthetic", "--data", "x.csv"), "--synthetic and --data are both given"),
        (("--replay", "60x"), "--replay and --loop are for --data"),
        (("--account", "a:b:c"), "--account takes NAME"),
        (("--account", "a:BTC"), "a balance is ASSET=AMOUNT"),
        (("--account", "a:BTC=x"), "account a: BTC"),
        (("--account", "a", "--account", "a"), "a name of its own"),
        (("--accounts", "none.yaml"), "none.yaml can not be read"),
        (("--symbol", "BTCUSDT"), "--symbol takes BASE/QUOTE"),
        (("--faults", "none.yaml"), "none.yaml can not be read"),
    ],
)
def test_what_can_not_be_served_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    from njord.cli import run

    assert run(["venue", "--root", str(tmp_path), *arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told


def test_a_listener_that_goes_before_he_is_answered_is_forgotten_without_an_error() -> None:
    async def main() -> Echo:
        loop, echo = asyncio.get_running_loop(), Echo()
        gone = StreamWriter(BaseProtocol(loop), loop)  # It has no transport any more.
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        request = make_mocked_request("GET", "/stream", headers=headers, writer=gone)
        with pytest.raises(asyncio.CancelledError):  # What the server takes for an end without words.
            await Host(echo, WallClock(), lambda error: None).handle(request)
        return echo

    assert not asyncio.run(main()).open
