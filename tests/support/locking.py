"""Somebody else who holds what every writer of a database wants."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg


@asynccontextmanager
async def locked(url: str, *tables: str) -> AsyncIterator[None]:
    """Nobody else writes to these tables, or to the file at all with SQLite. What is there can be read.

    SQLite waits in a thread: whoever holds the file now may need this loop to let go of it.
    """
    if url.startswith("sqlite"):
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        yield
        other.close()
        return
    async with await psycopg.AsyncConnection.connect(url) as session:
        await session.execute(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
        yield
