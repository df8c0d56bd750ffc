"""What every part of the service stands on: both systems, and the bells between processes."""

import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from uuid_utils import uuid7

from bullflow import telemetry
from bullflow.clock import now_ms
from bullflow.engine.address import engine_url
from bullflow.engine.bell import PING_AFTER, Bell
from bullflow.engine.connection import Client, connect
from bullflow.engine.keys import news_channel, work_channel
from bullflow.engine.remover import Remover
from bullflow.flow.record import Entry
from bullflow.handover import Handover
from bullflow.regulator import Regulator
from bullflow.settings import Settings
from bullflow.store.database import Database
from bullflow.withdrawer import Withdrawer


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every part of the service has: both systems, and the bells between processes."""

    settings: Settings
    database: Database
    client: Client
    news: Bell
    watching: list[Callable[[Sequence[Entry]], None]]
    """Who in this process is shown what was written to the log, before the bell rings for those elsewhere."""
    work: Bell
    origin: str
    remover: Remover
    withdrawer: Withdrawer
    """One for the whole process, so that nothing is withdrawn twice at the same time."""
    handover: Handover


@asynccontextmanager
async def open_base(settings: Settings) -> AsyncIterator[Base]:
    origin = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"[-64:]
    database = Database(settings.store_url)
    client = connect(engine_url(settings), "bullflow:service")
    log = telemetry.logger("bell")
    # Those who listen block for as long as it is quiet, so they have a connection of their own.
    listening = connect(engine_url(settings), "bullflow:bells", block=PING_AFTER)
    remover = Remover(client, settings.prefix, origin=origin)
    withdrawer = Withdrawer(database, remover, log=telemetry.logger("withdrawer"))
    try:
        yield Base(
            settings=settings,
            database=database,
            client=client,
            watching=[],
            news=Bell(listening, news_channel(settings.prefix), origin=origin, log=log),
            work=Bell(listening, work_channel(settings.prefix), origin=origin, log=log),
            origin=origin,
            remover=remover,
            withdrawer=withdrawer,
            handover=Handover(now_ms),
        )
    finally:
        await withdrawer.close()
        await listening.aclose()
        await client.aclose()
        await database.close()


def regulator_of(base: Base) -> Regulator:
    return Regulator(base.database, base.client, base.settings.prefix)


def new_id() -> str:
    return str(uuid7())
