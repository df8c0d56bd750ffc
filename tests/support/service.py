"""The whole service in the test's own process: real engine, real database, real HTTP on a free port."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bullflow import AsyncClient, Worker, serve
from bullflow.settings import Settings, load
from bullflow.wire import CreatedFlow, Event, Flow

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service and ways to talk to it."""

    settings: Settings
    url: str
    client: AsyncClient
    http: httpx.AsyncClient

    async def run(self, flow: dict[str, Any], *, within: float = 30) -> Flow:
        """Create a flow and wait for its end."""
        created = await self.client.create(flow)
        return await self.client.wait(created.id, timeout=within)

    async def log_of(self, flow_id: str) -> list[Event]:
        """The whole log of a flow, over REST, page by page."""
        entries: list[Event] = []
        while True:
            after = entries[-1].seq if entries else 0
            answer = await self.http.get(f"/flows/{flow_id}/events", params={"after": after, "limit": 500})
            page = [Event.model_validate(item) for item in answer.json()["items"]]
            entries += page
            if not page:
                return entries

    async def create(self, flow: dict[str, Any]) -> CreatedFlow:
        return await self.client.create(flow)


def settings_for(store_url: str, redis_url: str, prefix: str, data_dir: Path, **more: Any) -> Settings:
    """Settings of a service of a test's own."""
    return load(
        database_url=store_url, redis_url=redis_url, prefix=prefix, data_dir=data_dir, host="127.0.0.1", port=0, **more
    )


@asynccontextmanager
async def running(settings: Settings, workers: Sequence[Worker] = ()) -> AsyncIterator[Service]:
    """`bullflow up` without its own process; stops gracefully when the block ends."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve.up(settings, workers, ready.set_result, stop=stop))
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        url = ready.result()
        http = httpx.AsyncClient(base_url=url, timeout=60, headers=JSON, verify=False)
        async with AsyncClient(url) as client, http:
            yield Service(settings=settings, url=url, client=client, http=http)
    finally:
        stop.set()
        await task
