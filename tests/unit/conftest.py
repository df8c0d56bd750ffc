"""What the tests of the command line and the clients share."""

from collections.abc import Iterator

import pytest
import structlog

from support.commands import Bullflow, command


@pytest.fixture
def bullflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Bullflow]:
    yield command(monkeypatch, capsys)
    structlog.reset_defaults()  # the command may have told it to log to a stream of this test
