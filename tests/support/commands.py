"""The command line in the test's own process: what it prints, where, and its exit code."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from bullflow.cli.main import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Bullflow = Callable[..., Awaitable[Outcome]]


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bullflow:
    """The command, run on a thread, so that the service can run on the test's loop."""

    async def run(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["bullflow", *words])
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main)
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run
