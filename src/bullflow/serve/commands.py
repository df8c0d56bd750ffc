"""Builds the rooms and wires them together; decides nothing.

`up` is everything in one process, on the embedded default where nothing else is configured; `api`
and `recorder` are the parts alone. All of them run until SIGTERM or SIGINT and then stop gracefully:
first no new requests and jobs, then what is running may end, then the rest, and the engine last.
"""

import asyncio
import fcntl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from bullflow import telemetry
from bullflow.engine.embedded import EmbeddedEngine
from bullflow.errors import Misconfigured
from bullflow.http.origins import is_loopback
from bullflow.http.server import listen
from bullflow.loop import side_by_side
from bullflow.serve.base import open_base
from bullflow.serve.leading import recording
from bullflow.serve.rooms import Ready, build_rooms, notifying, serving
from bullflow.serve.running import running, stop_on_signals
from bullflow.settings import Settings
from bullflow.store import schema
from bullflow.worker import Worker

Beside = Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]
"""Something that runs along until the event is set; the settings name the engine, also where it is the embedded one."""


async def up(
    settings: Settings,
    workers: Sequence[Worker],
    ready: Ready,
    *,
    beside: Beside | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Everything in one process, and what runs `beside` it. `ready` is told the service's url.

    Without a `stop`, signals stop it.
    """
    check_auth(settings)
    stop = stop or stop_on_signals()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        stack.enter_context(_only_one_in(settings.data_dir))
        if settings.redis_url is None:
            settings = await _embedded(settings, stack)
        await upgrade(settings)
        base = await stack.enter_async_context(open_base(settings))
        rooms = await build_rooms(base)
        async with running(recording(base), base.news.run(), base.work.run(), notifying(rooms)):
            jobs = [worker.run(settings, stop=stop) for worker in workers]
            if beside is not None:
                jobs.append(beside(settings, stop))
            await side_by_side(serving(rooms, listener, stop, ready), *jobs)


async def api(settings: Settings, ready: Ready) -> None:
    """The HTTP service alone."""
    check_auth(settings)
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        await check_schema(settings)
        base = await stack.enter_async_context(open_base(settings))
        rooms = await build_rooms(base)
        async with running(base.news.run(), base.work.run(), notifying(rooms)):
            await serving(rooms, listener, stop, ready)


async def recorder(settings: Settings, ready: Ready) -> None:
    """The recorder and the dispatcher alone; one of several works, the others stand by."""
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        await check_schema(settings)
        base = await stack.enter_async_context(open_base(settings))
        async with running(recording(base), base.news.run(), base.work.run()):
            ready(settings.store_url)
            await stop.wait()


def check_auth(settings: Settings) -> None:
    """Raises Misconfigured where the whole network could use the service without anybody having asked for it."""
    if settings.auth != "local" or is_loopback(settings.host):
        return
    raise Misconfigured(
        f"on {settings.host} others could reach the service, and none of them would need a token. Either\n"
        "  ask for tokens:     --auth token (BULLFLOW_AUTH=token); bullflow users and bullflow tokens make them\n"
        "  or let all come in: --auth none (BULLFLOW_AUTH=none), behind something that knows who may\n"
        "  or stay here:       --host 127.0.0.1"
    )


async def upgrade(settings: Settings) -> str:
    """Bring the database to the newest revision; returns a sentence that says what was done."""
    if settings.database_url is None:
        _make_data_dir(settings.data_dir)
    before, after = await asyncio.to_thread(schema.upgrade, settings.store_url)
    if before == after:
        return f"The database is up to date (revision {after})."
    return f"The database was brought to revision {after}; before, {schema.shown(before)}."


async def _embedded(settings: Settings, stack: AsyncExitStack) -> Settings:
    engine = EmbeddedEngine(settings.data_dir)
    stack.push_async_callback(engine.stop)
    await engine.start()
    await stack.enter_async_context(running(engine.keep(telemetry.logger("engine"))))
    return settings.model_copy(update={"redis_url": engine.url})


@contextmanager
def _only_one_in(data_dir: Path) -> Iterator[None]:
    """Two services on one data directory would take each other's engine away."""
    _make_data_dir(data_dir)
    with (data_dir / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Misconfigured(
                f"another `bullflow up` runs on the data directory {data_dir.absolute()}; "
                "stop it, or choose another directory with --data-dir"
            ) from None
        yield


def _make_data_dir(data_dir: Path) -> None:
    try:
        # What flows are given and return lies in it.
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"the data directory {data_dir.absolute()} cannot be made: {error.strerror}; choose another with --data-dir"
        ) from None


async def check_schema(settings: Settings) -> None:
    """Raises Misconfigured unless the database has the tables of this version."""
    if settings.database_url is None:
        _make_data_dir(settings.data_dir)
    found, needed = await asyncio.to_thread(schema.current, settings.store_url), schema.newest()
    if found != needed:
        raise Misconfigured(
            f"{schema.shown(found)}, and this version needs revision {needed}; run `bullflow db upgrade`"
        )
