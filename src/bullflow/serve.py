"""Builds the rooms and wires them together; decides nothing.

`up` is everything in one process, on the embedded default where nothing else is configured; `api`
and `recorder` are the parts alone. All of them run until SIGTERM or SIGINT and then stop gracefully:
first no new requests and jobs, then what is running may end, then the rest, and the engine last.
"""

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from uuid_utils import uuid7

from bullflow import loop, telemetry
from bullflow.clock import now_ms
from bullflow.dispatcher import LOOK_EVERY as DISPATCHER_LOOKS
from bullflow.dispatcher import Dispatcher
from bullflow.engine.address import engine_url
from bullflow.engine.bell import Bell
from bullflow.engine.connection import Client, connect, ping
from bullflow.engine.control import queue_facts
from bullflow.engine.embedded import EmbeddedEngine
from bullflow.engine.keys import news_channel, work_channel
from bullflow.engine.producer import Producer
from bullflow.engine.remover import Remover
from bullflow.engine.stream import EventStreams
from bullflow.errors import LeadershipLost, Misconfigured
from bullflow.flow.record import Changes
from bullflow.http.app import create_app
from bullflow.http.rooms import Probe, Rooms
from bullflow.http.server import HttpServer, listen, url_of
from bullflow.janitor import LOOK_EVERY as JANITOR_LOOKS
from bullflow.janitor import Janitor
from bullflow.leader import RECORDER, Leader
from bullflow.loop import first_error, side_by_side
from bullflow.notifier import LOOK_EVERY as NOTIFIER_LOOKS
from bullflow.notifier import Notifier
from bullflow.recorder import BLOCK, Lease, News, Recorder
from bullflow.regulator import LOOK_EVERY as REGULATOR_LOOKS
from bullflow.regulator import Regulator
from bullflow.service.cancel import Cancel
from bullflow.service.delete import Delete
from bullflow.service.regulate import Regulate
from bullflow.service.retry import Plan, Retry
from bullflow.service.submit import Submit
from bullflow.settings import Settings
from bullflow.store import leases, schema, users
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.leases import Held
from bullflow.withdrawer import LOOK_EVERY as WITHDRAWER_LOOKS
from bullflow.withdrawer import Withdrawer
from bullflow.worker import Worker

Ready = Callable[[str], None]

LINES_TOLD_AT_ONCE = 200
"""Log lines are all kept, but watchers get no more than these of what comes at once."""


async def up(settings: Settings, workers: Sequence[Worker], ready: Ready, *, stop: asyncio.Event | None = None) -> None:
    """Everything in one process. `ready` is told the service's url. Without a `stop`, signals stop it."""
    stop = stop or _stop_on_signals()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        stack.enter_context(_only_one_in(settings.data_dir))
        if settings.redis_url is None:
            settings = await _embedded(settings, stack)
        await upgrade(settings)
        base = await stack.enter_async_context(_base(settings))
        rooms = await _rooms(base)
        async with _running(_recording(base), base.news.run(), base.work.run(), _notifying(rooms)):
            jobs = (worker.run(settings, stop=stop) for worker in workers)
            await side_by_side(_serving(rooms, listener, stop, ready), *jobs)


async def api(settings: Settings, ready: Ready) -> None:
    """The HTTP service alone."""
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        await _check_schema(settings)
        base = await stack.enter_async_context(_base(settings))
        rooms = await _rooms(base)
        async with _running(base.news.run(), base.work.run(), _notifying(rooms)):
            await _serving(rooms, listener, stop, ready)


async def recorder(settings: Settings, ready: Ready) -> None:
    """The recorder and the dispatcher alone; one of several works, the others stand by."""
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        await _check_schema(settings)
        base = await stack.enter_async_context(_base(settings))
        async with _running(_recording(base), base.news.run(), base.work.run()):
            ready(settings.store_url)
            await stop.wait()


async def upgrade(settings: Settings) -> str:
    """Bring the database to the newest revision; returns a sentence that says what was done."""
    if settings.database_url is None:
        _make_data_dir(settings.data_dir)
    before, after = await asyncio.to_thread(schema.upgrade, settings.store_url)
    if before == after:
        return f"The database is up to date (revision {after})."
    return f"The database was brought from {before or 'nothing'} to revision {after}."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What every part of the service has: both systems, and the bells between processes."""

    settings: Settings
    database: Database
    client: Client
    news: Bell
    work: Bell
    origin: str


@asynccontextmanager
async def _base(settings: Settings) -> AsyncIterator[_Base]:
    origin = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"[-64:]
    database = Database(settings.store_url)
    client = connect(engine_url(settings), "bullflow:service")
    log = telemetry.logger("bell")
    # Those who listen block for as long as it is quiet, so they have a connection of their own.
    listening = connect(engine_url(settings), "bullflow:bells", forever=True)
    try:
        yield _Base(
            settings=settings,
            database=database,
            client=client,
            news=Bell(listening, news_channel(settings.prefix), origin=origin, log=log),
            work=Bell(listening, work_channel(settings.prefix), origin=origin, log=log),
            origin=origin,
        )
    finally:
        await listening.aclose()
        await client.aclose()
        await database.close()


async def _rooms(base: _Base) -> Rooms:
    async with base.database.write() as transaction:
        user_id = await users.ensure(transaction, users.LOCAL, _new_id(), now_ms())
    notifier = Notifier(base.database, log=telemetry.logger("notifier"))
    base.news.on(notifier.hear)

    def accepted(flows: Sequence[NewFlow]) -> None:
        base.work.ring({"accepted": [(flow.id, len(flow.jobs)) for flow in flows]})
        base.news.ring({"flows": [[flow.id, 1] for flow in flows]})

    def retried(plan: Plan) -> None:
        base.work.ring({"accepted": [(plan.flow_id, len(plan.again) + len(plan.reused))]})
        _tell_news(base.news, plan.changes)

    withdrawer = _withdrawer(base)
    return Rooms(
        settings=base.settings,
        database=base.database,
        submit=Submit(base.database, clock=now_ms, new_id=_new_id, accepted=accepted),
        cancel=Cancel(base.database, clock=now_ms, doom=withdrawer.doom, decided=partial(_tell_ended, base)),
        retry=Retry(base.database, clock=now_ms, finish=withdrawer.finish, decided=retried),
        delete=Delete(base.database, finish=withdrawer.finish),
        regulate=Regulate(base.database, apply=_regulator(base).apply),
        queue_facts=partial(queue_facts, base.client, base.settings.prefix),
        notifier=notifier,
        user_id=user_id,
        probes=probes(base.database, base.client),
    )


def _regulator(base: _Base) -> Regulator:
    return Regulator(base.database, base.client, base.settings.prefix)


def probes(database: Database, client: Client) -> dict[str, Probe]:
    """Questions to each system that a working service needs."""

    async def store() -> None:
        async with database.read() as snapshot:
            await leases.is_held(snapshot, RECORDER, now_ms())

    async def recorder_works() -> None:
        async with database.read() as snapshot:
            if not await leases.is_held(snapshot, RECORDER, now_ms()):
                raise Misconfigured("no recorder is running; start `bullflow recorder`")

    return {"store": store, "engine": partial(ping, client), "recorder": recorder_works}


async def _serving(rooms: Rooms, listener: socket.socket, stop: asyncio.Event, ready: Ready) -> None:
    server = HttpServer(create_app(rooms))
    listener.listen(server.config.backlog)
    ready(url_of(listener))
    await server.run_until(stop, listener)


async def _notifying(rooms: Rooms) -> None:
    notifier = rooms.notifier
    log = telemetry.logger("notifier")
    await loop.run("notifier", notifier.run_once, wake=notifier.wake, interval=NOTIFIER_LOOKS, log=log)


async def _recording(base: _Base) -> None:
    settings = base.settings
    dispatcher = Dispatcher(
        base.database,
        Producer(base.client, settings.prefix, keep=settings.engine_keep, stream_length=settings.stream_length),
        clock=now_ms,
        log=telemetry.logger("dispatcher"),
    )
    withdrawer = _withdrawer(base)

    def heard(work: dict[str, Any] | None) -> None:
        if work is None or "accepted" in work:
            dispatcher.hear(None if work is None else work["accepted"])
        if work is None or "ended" in work:
            withdrawer.wake.ring()

    base.work.on(heard)
    leader = Leader(
        base.database, holder=base.origin, term=settings.lease, clock=now_ms, log=telemetry.logger("leader")
    )
    await leader.lead(partial(_lead, base, dispatcher, withdrawer))


async def _lead(base: _Base, dispatcher: Dispatcher, withdrawer: Withdrawer, held: Held) -> None:
    """What only the leader does."""
    settings = base.settings
    log = telemetry.logger("recorder")
    dispatcher.begin()
    reading = connect(engine_url(settings), "bullflow:recorder", block=BLOCK)
    recording = Recorder(
        base.database,
        EventStreams(reading, settings.prefix),
        base.client,
        settings.prefix,
        lease=Lease(held=held, term=settings.lease),
        clock=now_ms,
        most_lines=settings.max_log_lines,
        recorded=partial(_tell_recorded, base),
        log=log,
    )
    janitor = Janitor(base.database, clock=now_ms, decided=partial(_tell_ended, base), log=telemetry.logger("janitor"))
    try:
        async with _running(
            loop.run(
                "dispatcher", dispatcher.run_once, wake=dispatcher.wake, interval=DISPATCHER_LOOKS, log=dispatcher.log
            ),
            loop.run(
                "withdrawer", withdrawer.run_once, wake=withdrawer.wake, interval=WITHDRAWER_LOOKS, log=withdrawer.log
            ),
            loop.run("janitor", janitor.run_once, wake=loop.Wake(), interval=JANITOR_LOOKS, log=janitor.log),
            _regulating(base),
        ):
            await loop.run(
                "recorder",
                recording.run_once,
                wake=loop.Wake(),
                interval=None,
                log=log,
                give_up_on=(LeadershipLost,),
            )
    finally:
        await reading.aclose()


def _withdrawer(base: _Base) -> Withdrawer:
    remover = Remover(base.client, base.settings.prefix, origin=base.origin)
    return Withdrawer(base.database, remover, log=telemetry.logger("withdrawer"))


def _tell_recorded(base: _Base, recorded: News) -> None:
    for changes in recorded.changes:
        if changes.entries or changes.progress:
            _tell_news(base.news, changes)
        if any(flow.withdraw_due for flow in changes.flows):
            base.work.ring({"ended": True})
    if recorded.lines:
        told = recorded.lines[-LINES_TOLD_AT_ONCE:]
        base.news.ring({"lines": [[line.flow_id, line.id, line.n, line.run, line.at, line.line] for line in told]})


def _tell_ended(base: _Base, changes: Changes) -> None:
    """Flows were ended by a decision: who watches is told, and the leader withdraws them."""
    _tell_news(base.news, changes)
    base.work.ring({"ended": True})


async def _regulating(base: _Base) -> None:
    log = telemetry.logger("regulator")
    await loop.run("regulator", _regulator(base).run_once, wake=loop.Wake(), interval=REGULATOR_LOOKS, log=log)


def _tell_news(news: Bell, changes: Changes) -> None:
    news.ring(
        {
            "flows": [[flow.id, flow.last_seq] for flow in changes.flows],
            "progress": [[job.flow_id, job.id, job.progress.text] for job in changes.progress if job.progress],
        }
    )


async def _embedded(settings: Settings, stack: AsyncExitStack) -> Settings:
    engine = EmbeddedEngine(settings.data_dir)
    stack.push_async_callback(engine.stop)
    await engine.start()
    await stack.enter_async_context(_running(engine.keep(telemetry.logger("engine"))))
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
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"the data directory {data_dir.absolute()} cannot be made: {error.strerror}; choose another with --data-dir"
        ) from None


async def _check_schema(settings: Settings) -> None:
    if settings.database_url is None:
        _make_data_dir(settings.data_dir)
    found, needed = await asyncio.to_thread(schema.current, settings.store_url), schema.newest()
    if found != needed:
        raise Misconfigured(
            f"the database is at revision {found or 'nothing'} and this version needs {needed}; "
            "run `bullflow db upgrade`"
        )


def _stop_on_signals() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT; the second one does not wait any longer."""
    stop, main = asyncio.Event(), asyncio.current_task()

    def heard() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard)
    return stop


@asynccontextmanager
async def _running(*parts: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these beside the block; they end with it, and if one fails, so does the block."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part) for part in parts]
            yield
            for task in running:
                task.cancel()
    except BaseExceptionGroup as group:
        raise first_error(group) from group


def _new_id() -> str:
    return str(uuid7())
