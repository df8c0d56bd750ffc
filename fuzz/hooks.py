"""What schemathesis cannot know of this service; it loads this file."""

import os
import re
from contextlib import suppress
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure

Case = schemathesis.Case[Any]

UNSAYABLE = (
    r"\?cursor: is not a cursor of this list",  # it has a checksum, and is of one list
    r".*/opts: .* exclude each other",  # of four policies one may be true
    r".*/data: is \d+ bytes",  # the data may be larger than the job's own `sizeLimit`
)
"""Rules that a schema does not hold: what it allows may be refused for them, if nothing else is wrong."""

LONGEST_WAIT = 0.05


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """This service asks for tokens; the contract is also of those that do not."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            if operation.get("security"):
                operation["security"] = [way for way in operation["security"] if way]


@schemathesis.hook
def map_case(_context: schemathesis.HookContext, case: Case) -> Case:
    """Let what is meant to be accepted come further than the door."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    query = case.query or {}
    if len(str(query.get("cursor", ""))) % 4:
        del query["cursor"]
    if case.operation.label == "POST /session" and isinstance(case.body, dict) and len(str(case.body["token"])) % 2:
        case.body["token"] = os.environ["FUZZ_TOKEN"]
    return case


@schemathesis.hook
def filter_failure(
    _context: schemathesis.HookContext, failure: Failure, _case: Case, response: schemathesis.Response
) -> bool:
    """Not a failure: what the schema allows was refused for what the schema cannot say, and for nothing else."""
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 422:
        return True
    faults = [f"{fault['pointer']}: {fault['detail']}" for fault in response.json().get("errors", [])]
    return not faults or not all(any(re.match(rule, fault) for rule in UNSAYABLE) for fault in faults)


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """No case waits a minute for a flow that does not end; what is no number of seconds stays as it is."""
    query = case.query or {}
    with suppress(TypeError, ValueError):
        if LONGEST_WAIT < float(query.get("wait", 0)) <= 60:
            query["wait"] = LONGEST_WAIT
