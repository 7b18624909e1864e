"""The command line. `main` turns whatever happens into one line and a documented exit code.

0    done
1    a check failed: doctor found something missing, replay or parity found a difference, what a sweep or a walk-forward
     chose is overfit
2    the input is wrong: a file, a flag, the configuration
3    the strategy raised an error and was suspended; the report exists
4    the journal, the disk, or a promise of the engine failed
5    a venue refused, or can not be reached
6    a decision has read the future
130  interrupted
"""

import os
import sys

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USER = 2
EXIT_STRATEGY = 3
EXIT_BROKEN = 4
EXIT_VENUE = 5
EXIT_LEAK = 6
EXIT_INTERRUPTED = 130
_INTERRUPTED = "interrupted; nothing half-done was kept"


def main() -> None:
    """Run the command line and exit."""
    try:
        _fill_closed_streams()
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # Before there was anything to interrupt, or after.
        sys.exit(_complain(_INTERRUPTED, EXIT_INTERRUPTED))


# Who is started without one of the three (`>&-`, some supervisors) would otherwise give its number to a journal.
def _fill_closed_streams() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from njord.cli.compiling import compile_notice

    with compile_notice():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    import typer

    from njord.cli.app import command
    from njord.core.errors import NjordError, UserError, VenueError

    # Typer keeps click's exceptions private; the base of its public BadParameter is click's UsageError.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        code = command().main(arguments, prog_name="njord", standalone_mode=False)
        sys.stdout.flush()
    except usage_error as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "njord"
        message = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
        return _complain(f"{message}; next: {path} --help", EXIT_USER)
    except (typer.Abort, KeyboardInterrupt):
        return _complain(_INTERRUPTED, EXIT_INTERRUPTED)
    except UserError as error:
        return _complain(str(error), EXIT_USER)
    except VenueError as error:
        return _complain(f"{error}; what has come is kept, the same command goes on later", EXIT_VENUE)
    except NjordError as error:
        return _complain(f"{type(error).__name__}: {error}", EXIT_BROKEN)
    except BrokenPipeError:
        return _unheard()
    except SystemExit as error:  # Typer's own word for the same.
        if isinstance(error.__context__, BrokenPipeError):
            return _unheard()
        raise
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return _complain(f"the system refused{where}: {error.strerror or error}", EXIT_USER)
    if code == EXIT_INTERRUPTED:  # Typer has caught the interrupt and kept its word to itself.
        return _complain(_INTERRUPTED, EXIT_INTERRUPTED)
    return code if isinstance(code, int) else EXIT_OK


# The reader has gone (`| head`): nobody is left to tell.
def _unheard() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def _complain(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"njord: {line}", file=sys.stderr)
    return code
