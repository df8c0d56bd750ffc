"""The client for code without an event loop: the same client, on a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from bullflow.client.asynchronous import KEEP, AsyncClient
from bullflow.wire import (
    CancelledFlow,
    CreatedFlow,
    Event,
    Explanation,
    Flow,
    FlowPage,
    FlowTree,
    Job,
    JobPage,
    LinePage,
    Progress,
    QueueDetail,
    QueuePage,
    QueueSettings,
    RetryPlan,
)

Value = TypeVar("Value")


class Client:
    """A connection to one bullflow service; `url` is taken from `BULLFLOW_URL` when it is not given.

    The thread, and not just a loop that runs while a method does, keeps a watch's connection alive
    while the caller is busy with an entry.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 30.0, token: str | None = None) -> None:
        self._async = AsyncClient(url, timeout=timeout, token=token)
        self.url = self._async.url
        self._calls: set[asyncio.Task[Any] | None] = set()
        self._watches: set[AsyncGenerator[Event | Progress]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bullflow-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._do(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def create(self, flow: Mapping[str, Any], *, idempotency_key: str | None = None) -> CreatedFlow:
        """Create a flow; when this returns, it is stored. The same key creates the same flow only once."""
        return self._do(self._async.create(flow, idempotency_key=idempotency_key))

    def get(self, flow_id: str) -> Flow:
        return self._do(self._async.get(flow_id))

    def create_many(self, flows: Sequence[Mapping[str, Any]]) -> list[CreatedFlow]:
        """Create all of these flows, or none."""
        return self._do(self._async.create_many(flows))

    def cancel(self, flow_id: str) -> CancelledFlow:
        """No further job of the flow starts after this; unless the engine is away, and `applied` false."""
        return self._do(self._async.cancel(flow_id))

    def retry(self, flow_id: str) -> Flow:
        """Run again what failed or was cancelled; completed jobs keep their results."""
        return self._do(self._async.retry(flow_id))

    def retry_plan(self, flow_id: str) -> RetryPlan:
        """What `retry` would run again, and what it would reuse."""
        return self._do(self._async.retry_plan(flow_id))

    def retry_job_plan(self, job_id: str) -> RetryPlan:
        """What `retry_job` would run again, and what it would reuse."""
        return self._do(self._async.retry_job_plan(job_id))

    def retry_job(self, job_id: str, data: Any = KEEP) -> Flow:
        """Run one job again, with other data if there is some, and every job above it; returns its flow."""
        return self._do(self._async.retry_job(job_id, data))

    def explain(self, flow_id: str) -> Explanation:
        """Why each unfinished part of the flow is not running."""
        return self._do(self._async.explain(flow_id))

    def delete(self, flow_id: str) -> None:
        """Forget a flow that has ended."""
        self._do(self._async.delete(flow_id))

    def flows(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        queue_name: str | None = None,
        tag: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> FlowPage:
        """One page of flows, newest first; `cursor` is the `next` of the page before."""
        return self._do(
            self._async.flows(status=status, name=name, queue_name=queue_name, tag=tag, limit=limit, cursor=cursor)
        )

    def jobs(self, flow_id: str, status: str | None = None, limit: int = 50, cursor: str | None = None) -> JobPage:
        """One page of a flow's jobs, in tree order; `cursor` is the `next` of the page before."""
        return self._do(self._async.jobs(flow_id, status, limit, cursor))

    def tree(self, flow_id: str, depth: int | None = None, max_children: int | None = None) -> FlowTree:
        """A flow with its jobs inside one another."""
        return self._do(self._async.tree(flow_id, depth, max_children))

    def job(self, job_id: str) -> Job:
        return self._do(self._async.job(job_id))

    def job_logs(self, job_id: str, limit: int = 50, cursor: str | None = None) -> LinePage:
        """One page of what a job has logged, oldest first; `cursor` is the `next` of the page before."""
        return self._do(self._async.job_logs(job_id, limit, cursor))

    def queues(self, limit: int = 50, cursor: str | None = None) -> QueuePage:
        """One page of queues by name, as they stand just now; `cursor` is the `next` of the page before."""
        return self._do(self._async.queues(limit, cursor))

    def queue(self, name: str) -> QueueDetail:
        """A queue and its live workers, as they stand just now."""
        return self._do(self._async.queue(name))

    def pause_queue(self, name: str) -> QueueSettings:
        """Let no further job of this queue begin."""
        return self._do(self._async.pause_queue(name))

    def resume_queue(self, name: str) -> QueueSettings:
        return self._do(self._async.resume_queue(name))

    def limit_queue(
        self, name: str, *, concurrency: int | None = None, rate_limit: Mapping[str, int] | None = None
    ) -> QueueSettings:
        """Limit what all workers of a queue do together; what is not given is not limited (any more).

        `concurrency` is how many jobs may run at once; `rate_limit` how many may begin in how many milliseconds:
        `{"max": 100, "duration": 60_000}`.
        """
        return self._do(self._async.limit_queue(name, concurrency=concurrency, rate_limit=rate_limit))

    def wait(self, flow_id: str, timeout: float | None = None) -> Flow:
        """The flow, once it has ended; raises TimeoutError when that takes more than `timeout` seconds."""
        return self._do(self._async.wait(flow_id, timeout))

    def watch(self, flow_id: str, after: int = 0) -> Generator[Event | Progress]:
        """Every entry of the flow's log after `after` and the progress of its jobs, live, until it has ended."""
        entries = self._async.watch(flow_id, after)
        self._watches.add(entries)
        try:
            while (entry := self._do(_next(entries))) is not None:
                yield entry
        except GeneratorExit:
            if not self._loop.is_closed():
                self._do(entries.aclose())
            raise
        finally:
            self._watches.discard(entries)

    def _do(self, work: Coroutine[Any, Any, Value]) -> Value:
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("This client is closed.")
        future = asyncio.run_coroutine_threadsafe(self._noted(work), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C arrives in the calling thread; what runs in the other must end too
            raise

    async def _noted(self, work: Coroutine[Any, Any, Value]) -> Value:
        task = asyncio.current_task()
        self._calls.add(task)
        try:
            return await work
        finally:
            self._calls.discard(task)

    async def _finish(self) -> None:
        """End the calls of other threads and the watches that were left in the middle, then the connections."""
        calls = [call for call in self._calls if call is not None and call is not asyncio.current_task()]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for entries in tuple(self._watches):
            await entries.aclose()
        await self._async.close()


async def _next(entries: AsyncGenerator[Event | Progress]) -> Event | Progress | None:
    return await anext(entries, None)
