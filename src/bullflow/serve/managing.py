"""What operators do with users and tokens, straight in the database, whether a service runs or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bullflow.clock import now_ms
from bullflow.errors import Misconfigured
from bullflow.serve.base import new_id
from bullflow.serve.commands import check_schema, upgrade
from bullflow.service.accounts import Accounts
from bullflow.settings import SQLITE_FILE, Settings
from bullflow.store import schema
from bullflow.store.database import Database


def missing_file(settings: Settings) -> Path | None:
    """The database's own file, where it is one and is not there yet."""
    path = (settings.data_dir / SQLITE_FILE).absolute()
    return None if settings.database_url is not None or path.exists() else path


@asynccontextmanager
async def managing(settings: Settings, *, may_be_new: bool = False) -> AsyncIterator[Accounts]:
    """Users and tokens; raises Misconfigured where there is no database, or one of another version."""
    missing = missing_file(settings)
    if missing is not None and not may_be_new:
        raise Misconfigured(
            f"there is no database {missing}; begin with `bullflow users create NAME` or `bullflow up`, "
            "or name another with --data-dir"
        )
    if may_be_new and (missing is not None or await asyncio.to_thread(schema.current, settings.store_url) is None):
        await upgrade(settings)
    # A database that is there is not brought to other tables beneath processes that run on it.
    await check_schema(settings)
    database = Database(settings.store_url)
    try:
        yield Accounts(database, clock=now_ms, new_id=new_id)
    finally:
        await database.close()
