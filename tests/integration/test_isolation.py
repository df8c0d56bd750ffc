"""A user sees only its own: random users do random things over all protocols, and a model of its own says what for.

The model knows who has made what, and nothing else: whatever is asked for by an id of somebody else is not there, and
in no answer, of whatever kind, does any id of somebody else stand.
"""

import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest_asyncio

from bullflow import Job, Worker
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.sockets import connected
from support.tenants import Tenant, tenant

USERS = ("alice", "bob", "carol")
STEPS = 150
KEYS = ("one", "two")
NOT_THERE = 404


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    worker = Worker("work", concurrency=10)

    @worker.task("leaf")
    async def leaf(job: Job) -> Any:
        await job.log(f"of {job.flow_id}")
        if job.data.get("fails"):
            raise ValueError(job.flow_id)
        return {"of": job.flow_id}

    @worker.task("root")
    async def root(job: Job) -> Any:
        return list(job.children.all("leaf"))

    settings = settings_for(store_url, valkey.url, prefix, data_dir, auth="token")
    async with running(settings, [worker]) as service:
        yield service


class World:
    """Who has made what, and everything that users can do."""

    def __init__(self, service: Service, tenants: dict[str, Tenant], chance: random.Random) -> None:
        self._service = service
        self._tenants = tenants
        self._chance = chance
        self._flows: dict[str, str] = {}
        self._jobs: dict[str, str] = {}
        self._flow_of: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.seen_of_others = 0
        self.ways: dict[str, Callable[[Tenant, str, str], Awaitable[None]]] = {
            "create": self.create,
            "bulk": self.bulk,
            "lists": self.lists,
            "flow": self.flow,
            "job": self.job,
            "change": self.change,
            "socket": self.socket,
            "stream": self.stream,
            "everything": self.everything,
            "cursor": self.cursor,
        }

    async def step(self) -> None:
        """Somebody does something, with a flow and a job of anybody."""
        who = self._tenants[self._chance.choice(USERS)]
        if not self._flows:
            await self.create(who, "", "")
        flow_id = self._chance.choice(sorted(self._flows))
        job_id = self._chance.choice(sorted(self._jobs))
        await self._chance.choice(list(self.ways.values()))(who, flow_id, job_id)

    async def create(self, who: Tenant, _flow: str, _job: str) -> None:
        headers = {"Idempotency-Key": self._chance.choice(KEYS)} if self._chance.random() < 0.3 else {}
        answer = await who.http.post("/flows", json=self._a_flow(), headers=headers)
        assert answer.status_code in (200, 201, 409), answer.text
        if answer.is_success:
            self._made(who, answer.json())
        self._check(who, answer.text)

    async def bulk(self, who: Tenant, _flow: str, _job: str) -> None:
        answer = await who.http.post("/flows/bulk", json={"flows": [self._a_flow(), self._a_flow()]})
        assert answer.status_code == 201
        for flow in answer.json()["flows"]:
            self._made(who, flow)
        self._check(who, answer.text)

    async def lists(self, who: Tenant, _flow: str, _job: str) -> None:
        limit = self._chance.choice((1, 3, 50))
        for path in ("/flows", "/queues", "/queues/work/tasks"):
            answer = await who.http.get(path, params={"limit": limit} if path != "/queues/work/tasks" else {})
            assert answer.status_code in (200, NOT_THERE)
            self._check(who, answer.text)

    async def flow(self, who: Tenant, flow_id: str, _job: str) -> None:
        part = self._chance.choice(("", "/jobs", "/tree", "/outline", "/events", "/explain", "?wait=0.01"))
        await self._ask(who, "GET", f"/flows/{flow_id}{part}", self._flows[flow_id])

    async def job(self, who: Tenant, _flow: str, job_id: str) -> None:
        part = self._chance.choice(("", "/logs"))
        await self._ask(who, "GET", f"/jobs/{job_id}{part}", self._jobs[job_id])

    async def change(self, who: Tenant, flow_id: str, job_id: str) -> None:
        way = self._chance.choice(("cancel", "retry", "delete", "job", "dry"))
        match way:
            case "job":
                await self._ask(who, "POST", f"/jobs/{job_id}/retry", self._jobs[job_id])
            case "delete":
                if await self._ask(who, "DELETE", f"/flows/{flow_id}", self._flows[flow_id]) == 204:
                    self.deleted.add(flow_id)
            case "dry":
                await self._ask(who, "POST", f"/flows/{flow_id}/retry?dryRun=true", self._flows[flow_id])
            case _:
                await self._ask(who, "POST", f"/flows/{flow_id}/{way}", self._flows[flow_id])

    async def socket(self, who: Tenant, flow_id: str, _job: str) -> None:
        async with connected(self._service.url, additional_headers=who.headers) as socket:
            answer = await socket.answer("subscribe", flowId=flow_id, after=0)
            if self._is_there(who, self._flows[flow_id], flow_id):
                assert answer["type"] in ("subscribed", "error")  # it may have been deleted meanwhile
            else:
                assert (answer["type"], answer["code"]) == ("error", "not-found")
                self.seen_of_others += 1
            self._check(who, json.dumps(await socket.pending()))

    async def stream(self, who: Tenant, flow_id: str, _job: str) -> None:
        headers = {"Accept": "text/event-stream"}
        async with who.http.stream("GET", f"/flows/{flow_id}/events", headers=headers) as answer:
            if not self._is_there(who, self._flows[flow_id], flow_id):
                assert answer.status_code == NOT_THERE
            elif answer.status_code == 200:
                async for piece in answer.aiter_text():
                    self._check(who, piece)
                    break

    async def everything(self, who: Tenant, _flow: str, _job: str) -> None:
        """Two follow all flows, and each makes one."""
        other = self._tenants[self._chance.choice([name for name in USERS if name != who.name])]
        async with (
            connected(self._service.url, additional_headers=other.headers) as theirs,
            connected(self._service.url, additional_headers=who.headers) as own,
        ):
            for socket in (theirs, own):
                await socket.answer("subscribe")
            for tenant_, socket in ((other, theirs), (who, own)):
                made = await tenant_.create(self._a_flow())
                self._made(tenant_, made)
                told = await socket.until(partial(_tells_of, made["id"]))
                self._check(tenant_, json.dumps(told))
            self._check(other, json.dumps(await theirs.pending()))

    async def cursor(self, who: Tenant, flow_id: str, _job: str) -> None:
        """A cursor of somebody's own list, used for the list of whoever the flow belongs to."""
        mine = (await who.http.get("/flows", params={"limit": 1})).json()["next"]
        if mine is None:
            return
        for tenant_ in self._tenants.values():
            answer = await tenant_.http.get("/flows", params={"limit": 50, "cursor": mine})
            assert answer.status_code == 200
            self._check(tenant_, answer.text)
        await self._ask(who, "GET", f"/flows/{flow_id}/jobs?cursor={mine}", self._flows[flow_id], also=422)

    async def _ask(self, who: Tenant, method: str, path: str, owner: str, *, also: int = 0) -> int:
        answer = await who.http.request(method, path, headers={"Content-Length": "0"} if method == "POST" else {})
        if owner == who.name:
            assert answer.status_code in (200, 202, 204, NOT_THERE, 409, also), answer.text
            if answer.status_code == NOT_THERE:
                asked = re.split(r"[/?]", path)
                assert any(key in self.deleted or self._flow_of.get(key) in self.deleted for key in asked)
        else:
            assert answer.status_code in (NOT_THERE, also), answer.text
            self.seen_of_others += 1
        self._check(who, answer.text, asked=path)
        return answer.status_code

    def _is_there(self, who: Tenant, owner: str, flow_id: str) -> bool:
        return owner == who.name and flow_id not in self.deleted

    def _a_flow(self) -> dict[str, Any]:
        leaves = [{"name": "leaf", "queueName": "work", "data": {"fails": self._chance.random() < 0.3}} for _ in "12"]
        return {"name": "root", "queueName": "work", "children": leaves}

    def _made(self, who: Tenant, flow: dict[str, Any]) -> None:
        assert self._flows.setdefault(flow["id"], who.name) == who.name
        for job in flow["jobs"]:
            self._flow_of[job["id"]] = flow["id"]
            assert self._jobs.setdefault(job["id"], who.name) == who.name

    def _check(self, who: Tenant, text: str, *, asked: str = "") -> None:
        """No id of somebody else stands in it, but the one that was asked for."""
        for owners in (self._flows, self._jobs):
            for key, owner in owners.items():
                assert owner == who.name or key not in text or key in asked, f"{who.name} sees {key} of {owner}: {text}"


def _tells_of(flow_id: str, message: dict[str, Any]) -> bool:
    return bool(message["type"] == "flow" and message["flow"]["id"] == flow_id)


async def test_a_user_sees_only_its_own_whatever_anybody_does(service: Service, store_url: str) -> None:
    async with AsyncExitStack() as stack:
        tenants = {name: await stack.enter_async_context(tenant(service, name)) for name in USERS}
        world = World(service, tenants, random.Random(store_url.partition(":")[0]))

        for _ in range(STEPS):
            await world.step()

        assert world.seen_of_others > STEPS / 5
