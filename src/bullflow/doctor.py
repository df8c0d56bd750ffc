"""Looks at everything that bullflow stands on and says what to do about what is wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bullflow.clock import now_ms
from bullflow.engine.address import engine_url
from bullflow.engine.connection import connect
from bullflow.engine.facts import EngineFacts, engine_facts
from bullflow.errors import BullflowError, Misconfigured
from bullflow.settings import Settings
from bullflow.store import leases, schema
from bullflow.store.database import Database

OLDEST_REDIS = (6, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `detail` says what was found, or what to do."""

    name: str
    ok: bool
    detail: str


async def doctor(settings: Settings) -> list[Check]:
    """Every check, each whatever the others say."""
    return [
        await _check("database", lambda: _database(settings)),
        await _check("engine", lambda: _engine(settings)),
        await _check("recorder", lambda: _recorder(settings)),
    ]


async def _check(name: str, look: Callable[[], Awaitable[str]]) -> Check:
    try:
        return Check(name=name, ok=True, detail=await look())
    except BullflowError as error:
        return Check(name=name, ok=False, detail=str(error))


async def _database(settings: Settings) -> str:
    if settings.database_url is None and not (settings.data_dir / "bullflow.db").exists():
        raise Misconfigured(
            f"there is none yet in {settings.data_dir.absolute()}; `bullflow up` or `bullflow db upgrade` makes it, "
            "BULLFLOW_DATABASE_URL names another"
        )
    found, needed = await asyncio.to_thread(schema.current, settings.store_url), schema.newest()
    if found != needed:
        raise Misconfigured(f"{schema.shown(found)}, not at {needed}; run `bullflow db upgrade`")
    return f"{Database(settings.store_url).dialect}, revision {found}"


async def _engine(settings: Settings) -> str:
    url = engine_url(settings)
    client = connect(url, "bullflow:doctor")
    try:
        facts = await engine_facts(client)
    finally:
        await client.aclose()
    _complain(facts)
    persistence = "with" if facts.persistent else "WITHOUT"
    where = f", at {url}" if settings.redis_url is None else ""
    return f"{facts.server} {facts.version}, {facts.eviction}, {persistence} persistence{where}"


def _complain(facts: EngineFacts) -> None:
    if facts.redis_version < OLDEST_REDIS:
        raise Misconfigured(f"{facts.server} {facts.version} is too old; BullMQ needs Redis 6.2 or newer, or Valkey")
    if facts.eviction != "noeviction":
        raise Misconfigured(
            f"maxmemory-policy is {facts.eviction}: the engine would throw jobs away when it is full; "
            "set it to noeviction"
        )


async def _recorder(settings: Settings) -> str:
    try:
        await _database(settings)
    except Misconfigured:
        raise Misconfigured("the database tells whether one is running, and is not ready") from None
    database = Database(settings.store_url)
    try:
        if await database.look(leases.is_held, leases.RECORDER, now_ms()):
            return "one is running"
    finally:
        await database.close()
    raise Misconfigured("none is running; start `bullflow up` or `bullflow recorder`")
