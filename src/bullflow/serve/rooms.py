"""The rooms below the HTTP service, and the loops that serve it."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial

from bullflow import loop, telemetry
from bullflow.clock import now_ms
from bullflow.engine.connection import in_time, take
from bullflow.engine.control import queue_facts
from bullflow.engine.keys import probe_key
from bullflow.engine.places import places
from bullflow.errors import Misconfigured
from bullflow.flow.access import Caller
from bullflow.flow.explain import Example, Place
from bullflow.flow.queues import QueueFacts
from bullflow.flow.redact import rules
from bullflow.http.app import create_app
from bullflow.http.aside import Aside
from bullflow.http.rooms import Probe, Rooms
from bullflow.http.server import HttpServer, url_of
from bullflow.http.shapes import flow_json
from bullflow.notifier import LOOK_EVERY as NOTIFIER_LOOKS
from bullflow.notifier import Notifier
from bullflow.serve.base import Base, new_id, regulator_of
from bullflow.serve.gauges import gauges
from bullflow.serve.telling import tell_accepted, tell_retried, tell_watchers, tell_withdrawer
from bullflow.service.access import Access
from bullflow.service.cancel import Cancel
from bullflow.service.delete import Delete
from bullflow.service.explain import Explain
from bullflow.service.quotas import Limits, Quotas
from bullflow.service.regulate import Regulate
from bullflow.service.retry import Retry
from bullflow.service.submit import Submit
from bullflow.settings import Settings
from bullflow.store import leases, tokens, users
from bullflow.store.database import Database

Ready = Callable[[str], None]
NOBODY_COMES_IN = (
    "nobody can come in: make a token with `bullflow tokens create`, for `local` or a user that you have made"
)


async def build_rooms(base: Base) -> Rooms:
    access = await _access(base)
    quotas = _quotas(base.settings)
    notifier = Notifier(base.database, clock=now_ms, log=telemetry.logger("notifier"), summarise=flow_json)
    base.watching.append(notifier.written)
    base.news.on(notifier.hear)

    asking = _Asking(base)
    return Rooms(
        settings=base.settings,
        database=base.database,
        submit=Submit(base.database, clock=now_ms, new_id=new_id, quotas=quotas, accepted=partial(tell_accepted, base)),
        cancel=Cancel(
            base.database,
            clock=now_ms,
            doom=asking.doom,
            decided=partial(tell_watchers, base),
            doomed=partial(tell_withdrawer, base),
        ),
        retry=Retry(
            base.database,
            clock=now_ms,
            quotas=quotas,
            finish=base.withdrawer.finish,
            decided=partial(tell_retried, base),
        ),
        delete=Delete(base.database, clock=now_ms, finish=base.withdrawer.finish),
        explain=Explain(
            base.database,
            engine_takes=asking.takes,
            queue_facts=asking.queue_facts,
            places=asking.places,
            clock=now_ms,
        ),
        regulate=Regulate(base.database, clock=now_ms, apply=regulator_of(base).apply),
        queue_facts=asking.queue_facts,
        notifier=notifier,
        access=access,
        quotas=quotas,
        redact=rules(base.settings.redact),
        aside=Aside(),
        probes=probes(base.database, asking.takes),
        gauges=gauges(base),
    )


class _Asking:
    """Questions to the engine. Somebody waits for the answer to each, and has one without the engine as well."""

    def __init__(self, base: Base) -> None:
        self._client = base.client
        self._prefix = base.settings.prefix
        self._withdrawer = base.withdrawer

    async def queue_facts(self, names: Sequence[str]) -> dict[str, QueueFacts]:
        return await in_time(queue_facts(self._client, self._prefix, names))

    async def places(self, jobs: Sequence[Example]) -> dict[str, Place]:
        return await in_time(places(self._client, self._prefix, jobs))

    async def takes(self) -> None:
        await in_time(take(self._client, probe_key(self._prefix)))

    async def doom(self, flow_id: str) -> None:
        await in_time(self._withdrawer.doom(flow_id))


async def _access(base: Base) -> Access:
    """Where nobody shows a token, everybody is the user `local`."""
    settings = base.settings
    async with base.database.write() as transaction:
        user_id = await users.ensure(transaction, users.LOCAL, new_id(), now_ms())
    if settings.auth == "token" and not await base.database.look(tokens.any_opens, now_ms()):
        telemetry.logger("access").warning("access.no_token", hint=NOBODY_COMES_IN)
    local = Caller(name=users.LOCAL, user_id=user_id)
    return Access(
        base.database,
        clock=now_ms,
        session_length=settings.session_length,
        stands_for=None if settings.auth == "token" else local,
    )


def _quotas(settings: Settings) -> Quotas:
    limits = Limits(
        create_rate=settings.create_rate,
        create_burst=settings.create_burst,
        running_flows=settings.max_running_flows,
        stored_bytes=settings.max_stored_bytes,
        sockets=settings.max_sockets,
    )
    return Quotas(limits, clock=now_ms)


def probes(database: Database, engine_takes: Probe) -> dict[str, Probe]:
    """Questions to each system that a working service needs."""

    async def store() -> None:
        await database.look(leases.is_held, leases.RECORDER, now_ms())
        if database.trouble is not None:
            # It may be full, or locked: then it can be read, and nothing can be accepted.
            async with database.write() as transaction:
                await users.touch(transaction, users.LOCAL)

    async def recorder_works() -> None:
        if not await database.look(leases.is_held, leases.RECORDER, now_ms()):
            raise Misconfigured("no recorder is running; start `bullflow recorder`")

    return {"store": store, "engine": engine_takes, "recorder": recorder_works}


async def serving(rooms: Rooms, listener: socket.socket, stop: asyncio.Event, ready: Ready) -> None:
    server = HttpServer(create_app(rooms), forwarded_allow_ips=rooms.settings.forwarded_allow_ips)
    listener.listen(server.config.backlog)
    ready(url_of(listener))
    try:
        await server.run_until(stop, listener)
    finally:
        rooms.aside.close()


async def notifying(rooms: Rooms) -> None:
    notifier = rooms.notifier
    log = telemetry.logger("notifier")
    await loop.run("notifier", notifier.run_once, wake=notifier.wake, interval=NOTIFIER_LOOKS, log=log)
