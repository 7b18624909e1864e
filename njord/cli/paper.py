"""`njord paper`: a session on paper from flags to its exit code."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from njord.adapters.config_loader import load_config
from njord.adapters.logging import register_secrets, setup_logging
from njord.apps.node import PaperNode
from njord.apps.session import Session
from njord.apps.session_files import check_name
from njord.apps.stop import StopPolicy
from njord.cli.node_run import (
    WRITTEN_WITHIN_S,
    Going,
    Stage,
    Stopper,
    kill_switch_watch,
    on_signals,
    open_outlet,
    trade,
)
from njord.cli.paper_source import Source, Wanted, opened
from njord.cli.progress import Progress
from njord.cli.request import Flags


def run(strategies: tuple[str, ...], data: tuple[Path, ...], flags: Flags, wanted: Wanted, root: Path) -> int:
    """Run the verb and return its exit code."""
    if wanted.session is not None:
        check_name(wanted.session)
    loaded = load_config(root, flags.settings)
    config, stopper = loaded.config, Stopper()
    setup_logging(
        None, config.logging.level
    )  # Nothing is written before all that was typed is known to be right.
    register_secrets(loaded.secrets)
    outlet = open_outlet(sys.stdout, wanted.json_out, stopper.stop)
    stage = Stage(config=config, root=root, json_out=wanted.json_out, outlet=outlet, stopper=stopper)
    try:
        with (
            redirect_stdout(sys.stderr),  # What strategies print is no output of ours.
            opened(strategies, data, flags, wanted, loaded, root, stage.notice) as source,
        ):
            watch = kill_switch_watch(stage)
            setup_logging(root / config.logging.dir, config.logging.level)
            session = _opened(source, root / config.paths.state, wanted)
            with on_signals(stopper.stop):
                code = trade(_going(session, source, stage), stage, watch)
                outlet.end(WRITTEN_WITHIN_S)
                return code
    finally:
        outlet.end(WRITTEN_WITHIN_S)


def _going(session: Session, source: Source, stage: Stage) -> Going:
    paper = stage.config.paper
    return Going(
        session=session,
        pace=source.pace,
        speed=source.speed,
        policy=StopPolicy(paper.stop_policy),
        flatten_within_s=float(paper.flatten_within_s),
        node=lambda watch, options, hear, poll: PaperNode(
            session, source.feed(session), watch, options, hear, poll
        ),
    )


def _opened(source: Source, state: Path, wanted: Wanted) -> Session:
    with Progress("messages run again") as progress:
        return Session.open(
            source.prepared,
            state,
            name=wanted.session,
            fresh=wanted.fresh,
            progress=progress.show,
            is_live=source.is_live,
        )
