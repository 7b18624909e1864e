"""A `njord` that has been started already: one process imports it, and every command is a fork of that one.

Half of what a command costs on little data is the same imports. `warm_njord()` returns the path of a program with the
words, folder, environment, streams and exit code of `njord`, which asks this process's server for a fork. A command that
is killed goes on without its caller: what is to be killed, or to show how njord starts, is the real program's.
"""

import json
import os
import select
import socket
import sys
from contextlib import suppress
from functools import cache

_MESSAGE_MAX = 2**20  # Words and environment.


@cache
def warm_njord() -> str:
    """Return the program; its server starts at the first call and ends with this process."""
    import atexit
    import shlex
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp(prefix="njord-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = str(folder / "server")
    program = folder / "njord"
    asking = shlex.join([sys.executable, "-I", "-S", __file__, "ask", address])
    program.write_text(f'#!/bin/sh\nexec {asking} "$@"\n')
    program.chmod(0o755)
    # One thread of the linear algebra, which is used for nothing large: there is none that a fork could miss.
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=alone
    )
    assert server.stdin is not None and server.stdout is not None
    atexit.register(server.wait)
    atexit.register(server.stdin.close)  # First: it waits for that.
    assert server.stdout.readline() == b"ready\n"
    return str(program)


def _serve(address: str) -> None:
    import gc
    import importlib
    import pkgutil
    import threading

    import njord.cli

    # The module `run` would take the name of the function that `main` calls: a verb imports it later than that.
    for module in pkgutil.iter_modules(njord.cli.__path__):
        if module.name != "run":
            importlib.import_module(f"njord.cli.{module.name}")
    for name in ("njord.strategies.compiled_orders", "njord.backtest.fast_points"):
        importlib.import_module(name)
    assert threading.active_count() == 1, "what has threads can not be forked"
    gc.freeze()  # What is frozen is not written to, and so stays shared.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            caller, _ = listening.accept()
            if not os.fork():
                break
            caller.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
        else:
            return
    _answer(caller)


def _answer(caller: socket.socket) -> None:
    message, streams, _, _ = socket.recv_fds(caller, _MESSAGE_MAX, 3)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        caller.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    caller.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    words, folder, environment = json.loads(message)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["njord", *words]
    from njord.cli import main

    main()


def _ask(address: str, words: list[str]) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        message = json.dumps((words, os.getcwd(), dict(os.environ))).encode()
        socket.send_fds(server, [message], [0, 1, 2])
        return int(server.recv(_MESSAGE_MAX))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(sys.argv[2])
    else:
        sys.exit(_ask(sys.argv[2], sys.argv[3:]))
