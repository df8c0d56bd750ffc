"""Celery: a chord of ten children with the parent as its callback; client, and worker with its usual pool of processes.

Broker and result backend are the same Valkey.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import Celery, chord
from celery.result import AsyncResult

from bench.peers.work import CHILDREN, answer, check, checked_sum

URL = "BENCH_CELERY_URL"
PATIENCE = 120

app = Celery("bench", broker=os.environ.get(URL), backend=os.environ.get(URL))


@app.task(name="child")  # type: ignore[untyped-decorator]
def child(n: int) -> int:
    return n


@app.task(name="parent")  # type: ignore[untyped-decorator]
def parent(values: Sequence[int]) -> int:
    return checked_sum(values)


def _add() -> AsyncResult:
    return chord([child.s(n) for n in range(CHILDREN)])(parent.s())


@contextmanager
def _worker(url: str) -> Iterator[None]:
    """A worker that has answered."""
    # Celery's name for a Unix socket.
    address = url.replace("unix://", "redis+socket://")
    app.conf.update(broker_url=address, result_backend=address)
    command = [sys.executable, "-m", "celery", "-A", "bench.peers.celery_app", "worker", "--loglevel", "error"]
    process = subprocess.Popen(command, env={**os.environ, URL: address}, stdout=sys.stderr)
    try:
        check([_add().get(timeout=PATIENCE)], 1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def burst(*, url: str, flows: int) -> dict[str, Any]:
    with _worker(url):
        start = time.perf_counter()
        added = [_add() for _ in range(flows)]
        check([result.get(timeout=PATIENCE) for result in added], flows)
        return {"seconds": time.perf_counter() - start}


def lone(*, url: str, runs: int) -> dict[str, Any]:
    whole = []
    with _worker(url):
        for _ in range(runs):
            start = time.perf_counter()
            check([_add().get(timeout=PATIENCE)], 1)
            whole.append(time.perf_counter() - start)
            time.sleep(0.01)
    return {"whole": whole}


if __name__ == "__main__":
    answer({"burst": burst, "lone": lone})
