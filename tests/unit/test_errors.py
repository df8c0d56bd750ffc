"""The error tree is as it is drawn, and each error says what happened."""

import inspect
import re

import pytest

from bullflow import errors
from bullflow.errors import (
    ApiError,
    BullflowError,
    EngineAway,
    Fault,
    Invalid,
    JobTimedOut,
    LeadershipLost,
    Malformed,
    NotFound,
    ResultNotJson,
    ServiceAway,
    StoreAway,
    UnknownJobName,
    UnrecoverableError,
)

CLASSES = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, Exception) and member.__module__ == errors.__name__
]


def drawn() -> dict[str, str]:
    """Each class of the drawing with the one that it hangs from."""
    parents, path = {}, ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        if branch := re.match(r"([│├└─ ]*)([A-Z]\w+)(\s{2,}|$)", line):
            depth = len(branch[1]) // 4 + 1
            path[depth:] = [branch[2]]
            parents[branch[2]] = path[depth - 1]
    return parents


def test_the_tree_is_drawn_as_it_is() -> None:
    assert drawn() == {error.__name__: error.__base__.__name__ for error in CLASSES if error.__base__}


def test_every_error_is_public() -> None:
    assert set(errors.__all__) == {error.__name__ for error in CLASSES} | {"Fault"}
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Invalid([Fault("/name", "is required"), Fault("", "is bad")]), "/name: is required; /: is bad"),
        (Malformed("not JSON: x"), "/: not JSON: x"),
        (NotFound("flow", "7"), "There is no flow with the id '7'."),
        (StoreAway("refused\nat line 3"), "The database does not answer: refused"),
        (EngineAway(TimeoutError()), "The engine (Redis or Valkey) does not answer: TimeoutError"),
        (LeadershipLost(), "another recorder has taken over"),
        (UnknownJobName("cut"), "Unknown job name: cut"),
        (ResultNotJson("cut", "a set"), "The result of cut is not JSON: a set"),
        (JobTimedOut(1.5), "timed out after 1.5 s"),
        (JobTimedOut(60), "timed out after 60 s"),
        (UnrecoverableError("no such file"), "no such file"),
        (
            ServiceAway("http://h", OSError()),
            "bullflow does not answer at http://h: OSError; "
            "start it with `bullflow up`, or name another address with --url or BULLFLOW_URL",
        ),
        (
            ApiError(422, "Unprocessable", "2 faults", [Fault("/name", "is required")]),
            "422 Unprocessable: 2 faults\n  /name: is required",
        ),
    ],
)
def test_an_error_builds_its_message_from_its_facts(error: BullflowError, text: str) -> None:
    assert str(error) == text


def test_facts_are_attributes() -> None:
    assert (NotFound("job", "9").kind, NotFound("job", "9").key) == ("job", "9")
    assert ApiError(404, "Not Found", "gone").faults == ()
    assert Malformed("x").faults == (Fault("", "x"),)


@pytest.mark.parametrize("cause", ["", OSError(), RuntimeError(""), "\n", " "])
def test_an_error_can_be_made_of_a_cause_that_says_nothing(cause: str | Exception) -> None:
    assert str(StoreAway(cause)).startswith("The database does not answer")
