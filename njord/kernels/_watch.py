"""Who wants to know when kernels are compiled? Whoever says so here, before a compiler has been imported."""

from collections.abc import Callable

Watcher = Callable[[bool], None]  # True: a function begins to be compiled; False: it is done. They nest.
_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Tell `watcher` of every function that is compiled from now on; one from the cache is not compiled."""
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    """Stop telling `watcher`."""
    _watchers.remove(watcher)


def tell(begins: bool) -> None:
    """Tell all who watch."""
    for watcher in _watchers:
        watcher(begins)
