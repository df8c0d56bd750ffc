"""What operators do with users and tokens, straight in the database, whether a service runs or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bullflow.clock import now_ms
from bullflow.errors import Misconfigured
from bullflow.serve.base import new_id
from bullflow.serve.commands import check_schema, upgrade
from bullflow.service.accounts import Accounts
from bullflow.settings import SQLITE_FILE, Settings
from bullflow.store import schema
from bullflow.store.database import Database


@asynccontextmanager
async def managing(settings: Settings, *, may_be_new: bool = False) -> AsyncIterator[Accounts]:
    """Users and tokens; raises Misconfigured where there is no database, or one of another version."""
    path = settings.data_dir / SQLITE_FILE
    is_there = settings.database_url is not None or path.exists()
    if not is_there and not may_be_new:
        raise Misconfigured(
            f"there is no database {path.absolute()}; start `bullflow up`, or name another with --data-dir"
        )
    if may_be_new and (not is_there or await asyncio.to_thread(schema.current, settings.store_url) is None):
        await upgrade(settings)
    # A database that is there is not brought to other tables beneath processes that run on it.
    await check_schema(settings)
    database = Database(settings.store_url)
    try:
        yield Accounts(database, clock=now_ms, new_id=new_id)
    finally:
        await database.close()
