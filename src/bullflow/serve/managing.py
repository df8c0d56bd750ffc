"""What operators do with users and tokens, straight in the database, whether a service runs or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bullflow.clock import now_ms
from bullflow.errors import Misconfigured
from bullflow.serve.base import new_id
from bullflow.serve.commands import upgrade
from bullflow.service.accounts import Accounts
from bullflow.settings import SQLITE_FILE, Settings
from bullflow.store.database import Database


@asynccontextmanager
async def managing(settings: Settings, *, may_be_new: bool = False) -> AsyncIterator[Accounts]:
    """Users and tokens, in a database that is brought up to date first; raises Misconfigured where there is none."""
    if not may_be_new and settings.database_url is None and not (path := settings.data_dir / SQLITE_FILE).exists():
        raise Misconfigured(
            f"there is no database {path.absolute()}; start `bullflow up`, or name another with --data-dir"
        )
    await upgrade(settings)
    database = Database(settings.store_url)
    try:
        yield Accounts(database, clock=now_ms, new_id=new_id)
    finally:
        await database.close()
