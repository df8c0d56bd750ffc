"""Whether a document is exactly what its wire model says: nothing undocumented, nothing left out."""

from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from bullflow.wire import Problem

PROBLEM = "application/problem+json"
M = TypeVar("M", bound=BaseModel)


def exactly(model: type[M], document: Any) -> M:
    """The document read with its model; what the model would drop, add or change makes it fail."""
    value = model.model_validate(document, extra="forbid", by_alias=True, by_name=False)
    assert value.model_dump(by_alias=True, mode="json") == document
    return value


def problem_of(answer: httpx.Response, status: int) -> Problem:
    """The problem that this answer is; fails for any other answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    found = exactly(Problem, {"errors": [], **document})
    assert {"type", "title", "status", "detail"} <= set(document)
    assert found.status == status
    assert found.title
    assert found.detail
    return found


def pointers(problem: Problem) -> list[str]:
    return [fault.pointer for fault in problem.errors]
