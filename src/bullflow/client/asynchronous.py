"""The client: REST for what is asked once, the WebSocket for what is followed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from bullflow.client.answers import Thing, as_json, checked_url, not_ours, problem
from bullflow.client.following import Progression, follow
from bullflow.errors import ServiceAway
from bullflow.flow.states import FLOW_ENDED
from bullflow.settings import load
from bullflow.wire import (
    CancelledFlow,
    CreatedFlow,
    CreatedFlows,
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

Model = TypeVar("Model", bound=BaseModel)

KEEP: Any = object()
"""Says that a job keeps the data it has; None is data."""
_JSON = {"Content-Type": "application/json"}


class AsyncClient:
    """A connection to one bullflow service.

    `url` is taken from `BULLFLOW_URL` and `token` from `BULLFLOW_TOKEN` when they are not given.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 30.0, token: str | None = None) -> None:
        settings = load(token=token or None)
        self.url, token = checked_url(url or settings.url), settings.token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = timeout
        # Reading the certificates of all authorities takes longer than most requests; plain HTTP needs none of them.
        encrypted = self.url.startswith("https:")
        self._http = httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=timeout, verify=encrypted)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def create(self, flow: Mapping[str, Any], *, idempotency_key: str | None = None) -> CreatedFlow:
        """Create a flow; when this returns, it is stored. The same key creates the same flow only once."""
        headers = dict(_JSON)
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return await self._ask(CreatedFlow, "POST", "/flows", content=as_json(flow), headers=headers)

    async def get(self, flow_id: str) -> Flow:
        return await self._read(Flow, Thing("flow", flow_id))

    async def create_many(self, flows: Sequence[Mapping[str, Any]]) -> list[CreatedFlow]:
        """Create all of these flows, or none."""
        body = as_json({"flows": list(flows)})
        return (await self._ask(CreatedFlows, "POST", "/flows/bulk", content=body, headers=_JSON)).flows

    async def cancel(self, flow_id: str) -> CancelledFlow:
        """No further job of the flow starts after this; unless the engine is away, and `applied` false."""
        return await self._act(CancelledFlow, "POST", Thing("flow", flow_id), "/cancel")

    async def retry(self, flow_id: str) -> Flow:
        """Run again what failed or was cancelled; completed jobs keep their results."""
        return await self._act(Flow, "POST", Thing("flow", flow_id), "/retry")

    async def retry_plan(self, flow_id: str) -> RetryPlan:
        """What `retry` would run again, and what it would reuse."""
        return await self._act(RetryPlan, "POST", Thing("flow", flow_id), "/retry", params={"dryRun": "true"})

    async def retry_job_plan(self, job_id: str) -> RetryPlan:
        """What `retry_job` would run again, and what it would reuse."""
        return await self._act(RetryPlan, "POST", Thing("job", job_id), "/retry", params={"dryRun": "true"})

    async def retry_job(self, job_id: str, data: Any = KEEP) -> Flow:
        """Run one job again, with other data if there is some, and every job above it; returns its flow."""
        body = {} if data is KEEP else {"content": as_json({"data": data}), "headers": _JSON}
        return await self._act(Flow, "POST", Thing("job", job_id), "/retry", **body)

    async def explain(self, flow_id: str) -> Explanation:
        """Why each unfinished part of the flow is not running."""
        return await self._read(Explanation, Thing("flow", flow_id), "/explain")

    async def delete(self, flow_id: str) -> None:
        """Forget a flow that has ended."""
        await self._request("DELETE", Thing("flow", flow_id).path(), Thing("flow", flow_id))

    async def flows(
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
        query = {"status": status, "name": name, "queueName": queue_name, "tag": tag, "limit": limit, "cursor": cursor}
        return await self._ask(FlowPage, "GET", "/flows", params=_given(query))

    async def jobs(
        self, flow_id: str, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """One page of a flow's jobs, in tree order; `cursor` is the `next` of the page before."""
        query = {"status": status, "limit": limit, "cursor": cursor}
        return await self._read(JobPage, Thing("flow", flow_id), "/jobs", query)

    async def tree(self, flow_id: str, depth: int | None = None, max_children: int | None = None) -> FlowTree:
        """A flow with its jobs inside one another."""
        query = {"depth": depth, "maxChildren": max_children}
        return await self._read(FlowTree, Thing("flow", flow_id), "/tree", query)

    async def job(self, job_id: str) -> Job:
        return await self._read(Job, Thing("job", job_id))

    async def job_logs(self, job_id: str, limit: int = 50, cursor: str | None = None) -> LinePage:
        """One page of what a job has logged, oldest first; `cursor` is the `next` of the page before."""
        return await self._read(LinePage, Thing("job", job_id), "/logs", {"limit": limit, "cursor": cursor})

    async def queues(self, limit: int = 50, cursor: str | None = None) -> QueuePage:
        """One page of queues by name, as they stand just now; `cursor` is the `next` of the page before."""
        return await self._ask(QueuePage, "GET", "/queues", params=_given({"limit": limit, "cursor": cursor}))

    async def queue(self, name: str) -> QueueDetail:
        """A queue and its live workers, as they stand just now."""
        return await self._read(QueueDetail, Thing("queue", name))

    async def pause_queue(self, name: str) -> QueueSettings:
        """Let no further job of this queue begin."""
        return await self._act(QueueSettings, "POST", Thing("queue", name), "/pause")

    async def resume_queue(self, name: str) -> QueueSettings:
        return await self._act(QueueSettings, "POST", Thing("queue", name), "/resume")

    async def limit_queue(
        self, name: str, *, concurrency: int | None = None, rate_limit: Mapping[str, int] | None = None
    ) -> QueueSettings:
        """Limit what all workers of a queue do together; what is not given is not limited (any more).

        `concurrency` is how many jobs may run at once; `rate_limit` how many may begin in how many milliseconds:
        `{"max": 100, "duration": 60_000}`.
        """
        body = as_json({"concurrency": concurrency, "rateLimit": rate_limit})
        return await self._act(QueueSettings, "PUT", Thing("queue", name), "/limits", content=body, headers=_JSON)

    async def wait(self, flow_id: str, timeout: float | None = None) -> Flow:
        """The flow, once it has ended; raises TimeoutError when that takes more than `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while (flow := await self.get(flow_id)).status not in FLOW_ENDED:
                    async for _ in self._follow(Progression(flow_id, flow.last_seq)):
                        pass
                return flow
        except TimeoutError:
            raise TimeoutError(f"The flow {flow_id} has not ended within {timeout:g} s.") from None

    async def watch(self, flow_id: str, after: int = 0) -> AsyncGenerator[Event | Progress]:
        """Every entry of the flow's log after `after` and the progress of its jobs, live, until it has ended."""
        seen = Progression(flow_id, after)
        if after > 0:
            # The end may lie at or before `after`, where no entry will tell of it.
            flow = await self.get(flow_id)
            seen.has_ended, seen.newest = flow.status in FLOW_ENDED, flow.last_seq
        async with aclosing(self._follow(seen)) as entries:
            async for entry in entries:
                yield entry

    def _follow(self, seen: Progression) -> AsyncGenerator[Event | Progress]:
        return follow(self.url, seen, headers=self._headers, timeout=self._timeout)

    async def _read(
        self, model: type[Model], thing: Thing, part: str = "", query: Mapping[str, Any] | None = None
    ) -> Model:
        return await self._ask(model, "GET", thing.path() + part, thing, params=_given(query or {}))

    async def _act(self, model: type[Model], method: str, thing: Thing, part: str, **request: Any) -> Model:
        return await self._ask(model, method, thing.path() + part, thing, **request)

    async def _ask(
        self, model: type[Model], method: str, path: str, thing: Thing | None = None, **request: Any
    ) -> Model:
        response = await self._request(method, path, thing, **request)
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise not_ours(response.status_code, self.url) from error

    async def _request(self, method: str, path: str, thing: Thing | None = None, **request: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise ServiceAway(self.url, error) from error
        if not response.is_success:
            raise problem(response, thing)
        return response


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
