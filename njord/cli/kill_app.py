"""`njord kill` and `njord drill`: their verbs, flags and help. What a verb does is in the module that it imports."""

from pathlib import Path
from typing import Annotated

import typer

from njord.cli.options import HERE, Json, Root

kill_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Trip, clear or read the kill switch."
)
drill_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Try on purpose what must work when it matters."
)

Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the log beside the switch.")]


@kill_app.command("trip")
def kill_trip(
    reason: Reason,
    reduce_only: Annotated[
        bool, typer.Option("--reduce-only", help="Let orders pass that shrink positions.")
    ] = False,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Close all positions too, then let nothing but cancels pass.")
    ] = False,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Trip the kill switch: paper sessions cancel their orders and send none. Backtests do not read it.

    Example: njord kill trip --reason "the venue misbehaves"

    Exit codes: 0 tripped, 1 a source could not be written (it is named), 2 wrong input.
    """
    from njord.cli.kill import trip

    return trip(reason, reduce_only, json_out, root, flatten)


@kill_app.command("clear")
def kill_clear(reason: Reason, json_out: Json = False, root: Root = HERE) -> int:
    """Clear the kill switch, if the last session leaves no question open.

    Example: njord kill clear --reason "the venue has recovered"

    Exit codes: 0 clear, 1 still tripped, 2 wrong input or an open question.
    """
    from njord.cli.kill import clear

    return clear(reason, json_out, root)


@kill_app.command("check")
def kill_check(json_out: Json = False, root: Root = HERE) -> int:
    """Show the kill switch; what can not be read counts as tripped.

    Example: njord kill check

    Exit codes: 0 clear, 1 tripped.
    """
    from njord.cli.kill import check

    return check(json_out, root)


@drill_app.command("kill")
def drill_kill(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A file of bars to trade on, in place of a generated market."),
    ] = None,
    json_out: Json = False,
    root: Root = HERE,
) -> int:
    """Trip the kill switch of a session of its own under load, and measure until nothing is sent and nothing works.

    Example: njord drill kill

    Exit codes: 0 within the limits, 1 too slow.
    """
    from njord.cli.drill import run

    return run(json_out, root, data)
