"""How does the live broker's core live on the internet? In a thread of its own, with an event loop, CCXT and a clock.

Only this thread touches the core. Whatever touches it ends in `_pump`: what the core asks is sent, each request in a
task of its own, so that no cancel waits behind anything; the stream that it wishes for is opened; what it says goes to
the host; and it is woken when it wants to be. A request that has come to nothing by its deadline is given up and said
so. Something unforeseen ends the shell: from then on nothing is sent, and the reason is told once.
"""

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from njord.core.clock import Clock
from njord.core.errors import InvariantError, VenueUnavailable
from njord.core.units import FOREVER_NS, NS_PER_MS, NS_PER_S
from njord.venues.binance_options import StreamKind, StreamWish
from njord.venues.broker_core import BrokerCore
from njord.venues.broker_wire import Answer, Ask, Lane, NoAnswer, UnknownOrder, Word
from njord.venues.ccxt_broker import CcxtBroker, Keys, load_ccxt
from njord.venues.ccxt_broker_door import BINANCE_US, NOTE, Addresses, Door, Note, Way, addresses_at
from njord.venues.ccxt_broker_words import reason

WAIT_MAX_S = 1.0  # Between two looks at the clock: it may be set, and a machine may sleep.
ANSWER_WITHIN_S = 60.0  # Of any request, whatever its deadline says by a clock that was set.
_TLS_GOODBYE_S = 0.3  # A TLS connection says goodbye after it was closed.
_STREAM_PATH = "userDataStream"  # All that a connection may change that only reads.
_Value = TypeVar("_Value")


class ShellOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a shell behaves.

    Attributes:
        endpoint: Talk to this server, such as http://127.0.0.1:9095, and to no other; None = Binance.US.
        stream_open_s: Until a user stream that does not come about is given up.
        stream_silent_s: A socket on which nothing has come for so long, no pong either, is dead.
        reads_only: Nothing that changes an order is ever sent.
    """

    endpoint: str | None = None
    stream_open_s: float = 10.0
    stream_silent_s: float = 20.0
    reads_only: bool = False

    @property
    def addresses(self) -> Addresses:
        """Where the venue is; raises ConfigError where the endpoint is no address."""
        return BINANCE_US if self.endpoint is None else addresses_at(self.endpoint)


class CcxtShell:
    """Carries one core's requests and its user stream. Its methods may be called from any thread.

    Args:
        core: Not started; nobody else touches it from now on.
        keys: Of the account.
        clock: The host's.
        hear: Takes the core's words, in the shell's thread.
        on_broken: Called once, in the shell's thread, if something unforeseen has ended it.
        options: How it behaves.
        way: How names and certificates are checked.

    Attributes:
        broken: What has ended it; None as long as nothing has.
        unknown: The orders whose outcome nobody knows; replaced as a whole.
        cursors: The id of the last trade told, by symbol, as of the last words; likewise.
        account_uid: The venue's number for the account that must answer, as of the last words; 0 = not known yet.
    """

    def __init__(
        self,
        core: BrokerCore,
        keys: Keys,
        clock: Clock,
        hear: Callable[[list[Word]], None],
        on_broken: Callable[[BaseException], None],
        options: ShellOptions | None = None,
        way: Way | None = None,
    ) -> None:
        self._core = core
        self._keys = keys
        self._clock = clock
        self._hear = hear
        self._on_broken = on_broken
        self._options = options or ShellOptions()
        self._addresses = self._options.addresses
        self._way = way or Way()
        self._thread = threading.Thread(target=self._live, name="broker", daemon=True)
        self._loop: AbstractEventLoop | None = None
        self._is_up = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False  # Nothing is taken any more.
        self.broken: BaseException | None = None
        self.unknown: tuple[UnknownOrder, ...] = ()
        self.cursors: dict[str, str] = {}
        self.account_uid = 0
        # From here on only the thread's own.
        self._ccxt: Any = None
        self._ending = asyncio.Event()
        self._broker: CcxtBroker | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stream: asyncio.Task[None] | None = None
        self._wish = StreamWish()
        self._waking: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._n_own_asks = 0

    # --- from any thread ---

    def start(self) -> None:
        """Load CCXT, which takes seconds, and begin.

        Raises:
            ConfigError: CCXT is too old.
        """
        self._ccxt = load_ccxt()
        self._thread.start()
        self._is_up.wait()

    def stop(self, within_s: float) -> bool:
        """End the thread; what is under way is given up. Return whether it has ended in time."""
        with self._lock:
            self._is_over = True
            if self._loop is not None:
                with suppress(RuntimeError):  # It has ended by itself.
                    self._loop.call_soon_threadsafe(self._ending.set)
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def submit(self, do: Callable[[BrokerCore, int], object]) -> bool:
        """Let the core do something soon; return False if there is none any more."""
        with self._lock:
            if self._is_over or self._loop is None:
                return False
            self._loop.call_soon_threadsafe(self._do, do)
            return True

    def call(self, do: Callable[[BrokerCore, int], _Value], within_s: float) -> _Value:
        """Let the core do something, and return what it said.

        Raises:
            VenueUnavailable: It was not done, and will not be: there is no core any more, or it did not begin in time.
            InvariantError: The core broke over it.
        """
        future: Future[_Value] = Future()

        def run(core: BrokerCore, now_ns: int) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(do(core, now_ns))
            except Exception as error:  # Whoever waits must hear of it; `_do` ends the shell for it.
                future.set_exception(InvariantError(f"the broker's core broke ({type(error).__name__})"))
                raise

        if not self.submit(run):
            raise VenueUnavailable(self.why_over)
        with suppress(TimeoutError):
            return future.result(within_s)
        if future.cancel():
            raise VenueUnavailable(
                f"the broker's thread did not answer within {within_s:g} s; nothing was done"
            )
        with suppress(TimeoutError):
            return future.result(within_s)  # It has begun; the core never waits for anything.
        raise InvariantError("the broker's core does not come back")

    def ask(
        self, method: str, path: str, params: tuple[tuple[str, str], ...], within_s: float
    ) -> Answer | NoAnswer:
        """Ask the venue past the core, signed, and wait for the answer; for queries only."""
        future: Future[Answer | NoAnswer] = Future()
        if method != "GET":
            raise InvariantError(f"{method} {path} is the core's alone")

        def run(core: BrokerCore, now_ns: int) -> None:
            self._n_own_asks -= 1
            ask = Ask(
                request_id=self._n_own_asks,
                lane=Lane.QUERY,
                method=method,
                path=path,
                params=params,
                ts_ms=(now_ns + core.clock_offset_ns) // NS_PER_MS,
                is_signed=path not in ("time", "exchangeInfo", "ping"),
                deadline_ns=now_ns + int(within_s * NS_PER_S),
            )
            self._begin(self._carry_own(ask, future))

        if not self.submit(run):
            return NoAnswer(was_sent=False, detail=self.why_over)
        with suppress(TimeoutError):
            return future.result(within_s + WAIT_MAX_S)
        return NoAnswer(was_sent=True, detail="the broker's thread did not answer")

    @property
    def why_over(self) -> str:
        """Why nothing is taken any more."""
        return (
            "the broker is not running" if self.broken is None else f"the broker broke: {reason(self.broken)}"
        )

    # --- in the shell's own thread ---

    def _live(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as error:  # The thread's outermost frame: what ends it ends the shell.
            self._fail(error)
        finally:
            with self._lock:
                self._is_over, self._loop = True, None
            self._is_up.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        door = Door(self._addresses, self._way)
        broker = self._broker = CcxtBroker(self._ccxt, self._keys, self._addresses, door, self._venue_ms)
        with self._lock:
            if not self._is_over:
                self._loop = loop
        self._is_up.set()
        try:
            if self._loop is not None:
                self._do(lambda core, now_ns: core.start(now_ns))
                await self._ending.wait()
        finally:
            with self._lock:
                self._is_over, self._loop = True, None
            if self._waking is not None:
                self._waking.cancel()
            tasks = [*self._tasks, *([] if self._stream is None else [self._stream])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await broker.close()
            await door.close()
            if self._addresses.rest.startswith("https://"):
                await asyncio.sleep(_TLS_GOODBYE_S)

    def _venue_ms(self) -> int:
        return (self._clock.now_ns() + self._core.clock_offset_ns) // NS_PER_MS

    # The outermost frame of all that happens to the core: what it raises ends the shell.
    def _do(self, do: Callable[[BrokerCore, int], object]) -> None:
        if self.broken is not None:
            return
        try:
            do(self._core, self._clock.now_ns())
            self._pump()
        except Exception as error:  # Whatever it is, nothing more is sent.
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.broken is None:
            self.broken = error
            with self._lock:
                self._is_over = True
            self._on_broken(error)
        self._ending.set()

    def _pump(self) -> None:
        if self._is_pumping:
            return
        core = self._core
        self._is_pumping = True
        try:
            while True:
                asks, words = core.take_asks(), core.take_words()
                for ask in asks:
                    self._begin(self._carry(ask))
                if words:
                    self.cursors, self.account_uid = dict(core.cursors), core.account_uid
                    self._hear(words)
                if not asks and not words:
                    break
        finally:
            self._is_pumping = False
        self.unknown = tuple(core.unknown_orders())
        if core.wants_stream != self._wish:
            self._reopen(core.wants_stream)
        self._sleep(core.next_wake_ns)

    def _sleep(self, until_ns: int) -> None:
        if self._waking is not None:
            self._waking.cancel()
        left_s = WAIT_MAX_S if until_ns == FOREVER_NS else (until_ns - self._clock.now_ns()) / NS_PER_S
        wait_s = min(WAIT_MAX_S, max(0.0, left_s))
        self._waking = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self._do(lambda core, now_ns: core.wake(now_ns) if core.next_wake_ns <= now_ns else None)

    # --- requests ---

    def _begin(self, carrying: Any) -> None:
        task = asyncio.get_running_loop().create_task(carrying)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _carry(self, ask: Ask) -> None:
        answer = await self._sent(ask)
        self._do(lambda core, now_ns: core.answered(ask.request_id, answer, now_ns))

    async def _carry_own(self, ask: Ask, future: "Future[Answer | NoAnswer]") -> None:
        future.set_result(await self._sent(ask))

    async def _sent(self, ask: Ask) -> Answer | NoAnswer:
        if self._options.reads_only and ask.method != "GET" and ask.path != _STREAM_PATH:
            return NoAnswer(was_sent=False, detail="this connection only reads")
        assert self._broker is not None
        note = Note(ask.ts_ms)
        NOTE.set(note)  # Of this task alone.
        left_s = min(ANSWER_WITHIN_S, (ask.deadline_ns - self._clock.now_ns()) / NS_PER_S)
        if left_s <= 0:
            return NoAnswer(was_sent=False, detail="it came too late to be sent")
        try:
            async with asyncio.timeout(left_s):
                await self._broker.send(ask)
        except InvariantError:
            raise
        except Exception as error:  # CCXT's, whatever it is: what an order has become is the core's to judge.
            if note.answer is None:
                return NoAnswer(was_sent=note.was_sent, detail=reason(error))
        return note.answer or NoAnswer(was_sent=note.was_sent, detail="no answer was read")

    # --- the user stream ---

    def _reopen(self, wish: StreamWish) -> None:
        self._wish = wish
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        if wish.kind is not StreamKind.NONE:
            self._stream = asyncio.get_running_loop().create_task(self._listen(wish))
            self._stream.add_done_callback(self._ended)

    async def _listen(self, wish: StreamWish) -> None:
        assert self._broker is not None
        NOTE.set(None)  # Whoever wished for it may have been the answer to a request.

        def opened() -> None:
            if self._wish is wish:
                self._do(lambda core, now_ns: core.stream_opened(now_ns))

        def said(frame: bytes) -> None:
            if self._wish is wish:
                self._do(lambda core, now_ns: core.stream_said(frame, now_ns))

        options = self._options
        why = await self._broker.listen(
            wish, opened, said, open_within_s=options.stream_open_s, silent_after_s=options.stream_silent_s
        )
        if self._wish is wish:
            self._do(lambda core, now_ns: core.stream_closed(why, now_ns))
