"""A small service on localhost that speaks DESIGN's sections 5 and 6, for tests of its clients.

The test writes the flows' logs by hand and says where connections break; everything that goes
over the wire is real.
"""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

AT = "2026-01-02T03:04:05.678Z"
Document = dict[str, Any]
QUEUE_COUNTS = ("waiting", "waiting-children", "delayed", "prioritized", "active", "completed", "failed")


@dataclass
class SmallService:
    """What the service knows (`flows`, `jobs`, `log`), what it does wrong, and what it was asked."""

    port: int
    flows: dict[str, Document] = field(default_factory=dict)
    jobs: dict[str, list[Document]] = field(default_factory=dict)
    log: dict[str, list[Document]] = field(default_factory=dict)

    answers: dict[tuple[str, str], Response] = field(default_factory=dict)
    cuts: dict[int, int] = field(default_factory=dict)
    skips: set[int] = field(default_factory=set)
    repeats: int = 0
    errors: list[str] = field(default_factory=list)
    token: str | None = None

    requests: list[Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    subscriptions: list[Document] = field(default_factory=list)
    _bells: defaultdict[str, asyncio.Condition] = field(default_factory=lambda: defaultdict(asyncio.Condition))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add_flow(self, flow_id: str, *jobs: Document, **fields: Any) -> Document:
        """A flow with one entry in its log."""
        self.flows[flow_id] = flow_document(flow_id, **fields)
        self.jobs[flow_id] = list(jobs)
        self.log[flow_id] = []
        self.write(flow_id, "flow.created")
        return self.flows[flow_id]

    def write(self, flow_id: str, event: str, job_id: str | None = None, **data: Any) -> None:
        """One more entry; the end of a flow also stands in the flow itself."""
        entries = self.log[flow_id]
        entries.append(
            {
                "flowId": flow_id,
                "seq": len(entries) + 1,
                "at": AT,
                "event": event,
                "id": job_id,
                "jobId": f"{job_id}-1" if job_id else None,
                "data": data,
            }
        )
        flow = self.flows[flow_id]
        flow["lastSeq"] = len(entries)
        if event in ("flow.completed", "flow.failed", "flow.cancelled"):
            flow["status"], flow["finishedAt"] = event.removeprefix("flow."), AT
        if event == "flow.retried":
            flow["status"], flow["finishedAt"] = "active", None

    async def tell(self, flow_id: str, event: str, job_id: str | None = None, **data: Any) -> None:
        """Write an entry and wake the sockets."""
        self.write(flow_id, event, job_id, **data)
        await self._ring(flow_id)

    async def subscribed(self, times: int) -> None:
        """Return when clients have subscribed so many times in all."""
        async with self._bells[""]:
            await self._bells[""].wait_for(lambda: len(self.subscriptions) >= times)

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        self.bodies.append(await request.body())
        given = self.answers.get((request.method, request.url.path))
        return given if given is not None else self._found(request)

    async def live(self, websocket: WebSocket) -> None:
        if self.token is not None and websocket.headers.get("authorization") != f"Bearer {self.token}":
            await websocket.close()
            return
        await websocket.accept()
        wish = await websocket.receive_json()
        self.subscriptions.append(wish)
        await self._ring("")
        flow_id = wish["flowId"]
        error = self.errors.pop(0) if self.errors else None if flow_id in self.flows else "not-found"
        if error is not None:
            await websocket.send_json({"type": "error", "flowId": flow_id, "code": error, "detail": "as it is"})
            return
        await websocket.send_json({"type": "subscribed", "flowId": flow_id, "lastSeq": len(self.log[flow_id])})
        try:
            await self._send_log(websocket, flow_id, max(0, wish["after"] - self.repeats))
        except WebSocketDisconnect:
            return

    async def _send_log(self, websocket: WebSocket, flow_id: str, after: int) -> None:
        gone = asyncio.create_task(websocket.receive())
        try:
            while not gone.done():
                for entry in self.log[flow_id][after:]:
                    after = entry["seq"]
                    if after in self.skips:
                        self.skips.discard(after)
                        continue
                    await websocket.send_json({"type": "event", **entry})
                    if entry["id"] is not None and entry["event"] == "job.active":
                        progress = {"flowId": flow_id, "id": entry["id"], "progress": 40}
                        await websocket.send_json({"type": "progress", **progress})
                    if after in self.cuts:
                        await websocket.close(self.cuts.pop(after))
                        return
                await self._more(flow_id, after, gone)
        finally:
            gone.cancel()

    async def _more(self, flow_id: str, after: int, gone: "asyncio.Task[Any]") -> None:
        async def heard() -> None:
            async with self._bells[flow_id]:
                await self._bells[flow_id].wait_for(lambda: len(self.log[flow_id]) > after)

        waiting = asyncio.create_task(heard())
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def _ring(self, bell: str) -> None:
        async with self._bells[bell]:
            self._bells[bell].notify_all()

    def _found(self, request: Request) -> Response:
        match request.method, request.url.path.strip("/").split("/"):
            case "POST", ["flows"]:
                return JSONResponse({**next(iter(self.flows.values())), "jobs": [], "jobsNext": None}, 201)
            case "GET", ["flows"]:
                return JSONResponse({"items": list(self.flows.values()), "next": None})
            case "GET", ["flows", flow_id] if flow_id in self.flows:
                return JSONResponse(self.flows[flow_id])
            case "GET", ["flows", flow_id, "jobs"] if flow_id in self.flows:
                return JSONResponse(self._page(self.jobs[flow_id], request.query_params))
            case "GET", ["jobs", job_id]:
                for job in (job for jobs in self.jobs.values() for job in jobs if job["id"] == job_id):
                    return JSONResponse(job)
        return problem(404, "Not found", "There is no such thing.")

    def _page(self, jobs: list[Document], query: Mapping[str, str]) -> Document:
        start = int(query.get("cursor", 0))
        end = start + int(query["limit"])
        return {"items": jobs[start:end], "next": str(end) if end < len(jobs) else None}


def flow_document(flow_id: str, **fields: Any) -> Document:
    """A flow as the API shows it."""
    return {
        "id": flow_id,
        "name": "watermark-video",
        "status": "waiting",
        "queueName": "flowQueue",
        "createdAt": AT,
        "updatedAt": AT,
        "userId": "me",
        "counts": {"waiting": 1},
        "lastSeq": 0,
        **fields,
    }


def job_document(job_id: str, **fields: Any) -> Document:
    """A job as the API shows it."""
    return {
        "id": job_id,
        "jobId": f"{job_id}-1",
        "flowId": "f1",
        "parentId": None,
        "name": job_id,
        "queueName": "flowQueue",
        "status": "waiting",
        "data": {},
        "opts": {},
        "attemptsMade": 0,
        "createdAt": AT,
        "updatedAt": AT,
        "children": [],
        **fields,
    }


def queue_document(name: str, **fields: Any) -> Document:
    """A queue as the API shows it."""
    return {
        "name": name,
        "counts": dict.fromkeys(QUEUE_COUNTS, 0),
        "workers": 0,
        "paused": False,
        "concurrency": None,
        "rateLimit": None,
        "limitedFor": None,
        **fields,
    }


def queue_settings(name: str, **fields: Any) -> Document:
    """What is set for a queue, as the API shows it."""
    return {"name": name, "paused": False, "concurrency": None, "rateLimit": None, "applied": True, **fields}


def problem(status: int, title: str, detail: str, **fields: Any) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **fields}
    return JSONResponse(body, status, media_type="application/problem+json")


def not_bullflow(status: int = 200) -> Response:
    return PlainTextResponse("<html>a router's start page</html>", status)


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[SmallService]:
    """The service on this or a free port, until the block ends."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        service = SmallService(listener.getsockname()[1])
        app = Starlette(
            routes=[
                WebSocketRoute("/ws", service.live),
                Route("/{path:path}", service.answer, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield service
        finally:
            server.should_exit = True
            await task
