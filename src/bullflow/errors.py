"""Every error that bullflow raises on purpose.

BullflowError
├── Invalid                   a request breaks rules; carries every fault at once
│   └── Malformed             what came is not JSON at all
├── Unauthenticated           what a request carries names nobody who may come in
│   └── Revoked               … any more, though it did when they came in
├── Forbidden                 somebody who is known may not do this
├── Limited                   a user has reached one of the limits; later it may work
│   └── StoreFull             of what may be stored
├── NotFound                  no such thing, or it belongs to somebody else
├── Conflict                  what is asked for contradicts what is there
├── Away                      a system that we need cannot be reached just now
│   ├── StoreAway
│   ├── EngineAway
│   └── ReaderAway
├── EngineRefused             the engine answered with an error that a second try will not change
├── LeadershipLost            another recorder has taken over; stop writing
├── Misconfigured             settings, modules or addresses that cannot work
├── JobFailure                a handler's job fails, and the message is what the record shows
│   ├── UnrecoverableError    raised by handlers: fail now, without further attempts
│   │   ├── ResultNotJson
│   │   ├── ResultTooLarge
│   │   └── JobCancelled      its flow was cancelled, or a job that it needs has failed
│   ├── UnknownJobName
│   └── JobTimedOut
├── ApiError                  the service answered a client with a problem
└── ServiceAway               a client could not reach the service
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

__all__ = [
    "ApiError",
    "Away",
    "BullflowError",
    "Conflict",
    "EngineAway",
    "EngineRefused",
    "Fault",
    "Forbidden",
    "Invalid",
    "JobCancelled",
    "JobFailure",
    "JobTimedOut",
    "LeadershipLost",
    "Limited",
    "Malformed",
    "Misconfigured",
    "NotFound",
    "ReaderAway",
    "ResultNotJson",
    "ResultTooLarge",
    "Revoked",
    "ServiceAway",
    "StoreAway",
    "StoreFull",
    "Unauthenticated",
    "UnknownJobName",
    "UnrecoverableError",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    `pointer` is a JSON pointer (RFC 6901) into the body, or the name of a query parameter behind `?`.
    """

    pointer: str
    detail: str


class BullflowError(Exception):
    """The root of the tree."""


class Invalid(BullflowError):
    """A request that was understood and breaks at least one rule."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in self.faults))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.faults,)  # large requests are read in a process of their own


class Malformed(Invalid):
    """A body or message that is not JSON."""

    def __init__(self, detail: str) -> None:
        super().__init__([Fault("", detail)])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.faults[0].detail,)


class Unauthenticated(BullflowError):
    """Nobody may come in with what the request carries."""


class Revoked(Unauthenticated):
    """What somebody came in with holds no longer, while they are still here."""

    def __init__(self) -> None:
        super().__init__("The token, or the session, with which this began opens nothing any more.")


class Forbidden(BullflowError):
    """Somebody who is known lacks a scope, or comes with a session from where it does not hold."""


class Limited(BullflowError):
    """A user has reached one of the limits; after `retry_after` the same request may be taken."""

    def __init__(self, detail: str, retry_after: timedelta) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class StoreFull(Limited):
    """A user has stored as much as one may."""


class NotFound(BullflowError):
    """There is no such thing for this user."""

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        if kind == "queue":
            super().__init__(f"There is no queue {key!r}: a queue is known once a flow has used it.")
        elif kind == "user":
            super().__init__(f"There is no user {key!r}.")
        else:
            super().__init__(f"There is no {kind} with the id {key!r}.")


class Conflict(BullflowError):
    """The request is right in itself and contradicts what is there."""


class Away(BullflowError):
    """A system that bullflow stands on does not answer; the same call may work again later."""

    part = "system"

    def __init__(self, cause: BaseException | str) -> None:
        reason = str(cause) or type(cause).__name__
        self.reason = reason.splitlines()[0]
        super().__init__(f"The {self.part} does not answer: {self.reason}")


class StoreAway(Away):
    part = "database"


class EngineAway(Away):
    part = "engine (Redis or Valkey)"


class ReaderAway(Away):
    part = "process that reads large requests"


class EngineRefused(BullflowError):
    """The engine has understood and refuses: a script failed, or a key is of another type than BullMQ's."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"The engine (Redis or Valkey) refused: {cause}")


class LeadershipLost(BullflowError):
    """This process no longer holds the recorder's lease, so its transaction was rolled back."""

    def __init__(self) -> None:
        super().__init__("another recorder has taken over")


class Misconfigured(BullflowError):
    """What the operator asked for cannot work; the message says what to change."""


class JobFailure(BullflowError):
    """A job fails with this message."""


class UnrecoverableError(JobFailure):
    """Raise it in a handler to fail the job at once, whatever its `attempts` say."""


class UnknownJobName(JobFailure):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"Unknown job name: {name}")


class ResultNotJson(UnrecoverableError):
    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"The result of {name} is not JSON: {reason}")


class ResultTooLarge(UnrecoverableError):
    def __init__(self, name: str, size: int, largest: int) -> None:
        self.name = name
        self.size = size
        super().__init__(
            f"The result of {name} is {size} bytes; it may have {largest} (BULLFLOW_MAX_RESULT_BYTES). "
            "Return where it is instead of what it is."
        )


class JobCancelled(UnrecoverableError):
    """Somebody has decided that the job is to fail; `reason` is what they said."""

    def __init__(self, reason: str = "cancelled") -> None:
        self.reason = reason
        super().__init__(reason)


class JobTimedOut(JobFailure):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"timed out after {seconds:g} s")


class ApiError(BullflowError):
    """A problem (RFC 9457) that the service answered with."""

    def __init__(self, status: int, title: str, detail: str, faults: Sequence[Fault] = ()) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.faults = tuple(faults)
        lines = [f"{status} {title}: {detail}", *(f"  {fault.pointer}: {fault.detail}" for fault in faults)]
        super().__init__("\n".join(lines))


class ServiceAway(BullflowError):
    """A client could not reach the service, or lost it and gave up."""

    def __init__(self, url: str, cause: BaseException | str) -> None:
        self.url = url
        super().__init__(
            f"bullflow does not answer at {url}: {str(cause) or type(cause).__name__}; "
            "start it with `bullflow up`, or name another address with --url or BULLFLOW_URL"
        )
