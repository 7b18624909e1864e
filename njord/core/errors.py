"""The exception tree. A refusal is data (`RefusalReason`), never one of these.

NjordError
├── UserError            the user's input is at fault; the message names value, expectation and remedy
│   ├── ConfigError      a configuration file, variable or flag
│   ├── DataError        a market data file
│   └── StrategyError    a strategy file or its parameters
├── StrategyFailed       a strategy raised inside a callback; it was suspended
├── JournalError         the journal can not be trusted or not be written
│   ├── JournalCorrupt   a byte of a sealed block changed
│   └── JournalHalted    the disk refused a write; nothing may be sent any more
├── CodecError           bytes that are not one of our messages
├── VenueError           a venue's trouble
│   ├── VenueUnavailable try again later
│   ├── VenueRejected    the venue said no
│   └── OutcomeUnknown   sent, no answer: ask for the outcome, never resend blindly
└── InvariantError       our own promise is broken; the node stops, a restart replays the journal
    └── RunawayCascade   one message caused more messages than the engine's limit
"""


class NjordError(Exception):
    """Any error that Njord raises on purpose."""


class UserError(NjordError):
    """Something the user can put right; `remedy` is the next thing to type or change."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class ConfigError(UserError):
    """A configuration file, environment variable or flag is wrong."""


class DataError(UserError):
    """A market data file can not be used as it is."""


class StrategyError(UserError):
    """A strategy can not be loaded, or its parameters are refused."""


class StrategyFailed(NjordError):
    """A strategy raised inside a callback; it was suspended."""


class JournalError(NjordError):
    """The journal can not be read or written."""


class JournalCorrupt(JournalError):
    """A sealed block of the journal does not match its hash."""


class JournalHalted(JournalError):
    """The disk refused a write: trading stops, what was written stays."""


class CodecError(NjordError):
    """The bytes are not a message that this version knows."""


class VenueError(NjordError):
    """A venue's trouble."""


class VenueUnavailable(VenueError):
    """The venue can not be reached; the request was not sent. Try again later."""


class VenueRejected(VenueError):
    """The venue refused the request."""


class OutcomeUnknown(VenueError):
    """The request was sent and no answer came: reconcile by client order id, never resend blindly."""


class InvariantError(NjordError):
    """A promise of our own is broken; nothing that follows can be trusted."""


class RunawayCascade(InvariantError):
    """One message caused more messages than the engine allows."""
