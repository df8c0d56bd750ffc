"""What operators do with users and tokens, straight in the database, whether a service runs or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bullflow.clock import now_ms
from bullflow.serve.base import new_id
from bullflow.serve.commands import upgrade
from bullflow.service.accounts import Accounts
from bullflow.settings import Settings
from bullflow.store.database import Database


@asynccontextmanager
async def managing(settings: Settings) -> AsyncIterator[Accounts]:
    """Users and tokens, in a database that is brought up to date first."""
    await upgrade(settings)
    database = Database(settings.store_url)
    try:
        yield Accounts(database, clock=now_ms, new_id=new_id)
    finally:
        await database.close()
