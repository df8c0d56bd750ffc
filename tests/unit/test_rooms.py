"""What `import bullflow` offers, and what it must not pull in."""

import subprocess
import sys

import pytest

import bullflow

PUBLIC = {
    "ApiError",
    "AsyncClient",
    "BullflowError",
    "Client",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobFailure",
    "ServiceAway",
    "UnrecoverableError",
    "Worker",
}
SERVER_ONLY = ("sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "bullflow.store", "bullflow.http")


def test_the_public_surface_is_guarded() -> None:
    assert set(bullflow.__all__) == PUBLIC
    assert bullflow.__all__ == sorted(bullflow.__all__)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    assert getattr(bullflow, name).__doc__


def test_a_worker_or_client_machine_needs_no_server() -> None:
    program = f"import sys, bullflow; print([name for name in {SERVER_ONLY!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
