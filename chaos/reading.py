"""What the service says of its flows when all is over, read as plain JSON over REST."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

Json = Mapping[str, Any]

ENDED = ("completed", "failed", "cancelled")
PAUSE = 0.5
LONGEST_REST = 900.0
EXPLAINED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One flow: itself, its jobs in tree order, its whole log."""

    flow: Json
    jobs: Sequence[Json]
    entries: Sequence[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`flows` by id; `listed` are the ids of all flows that there are; `explained` says why some do not end."""

    flows: Mapping[str, Told]
    listed: Sequence[str]
    explained: Mapping[str, str]


class Reader:
    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=30)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._http.aclose()

    async def rest(self, patience: float, all_accepted: Callable[[], bool]) -> None:
        """Return when every flow and every job has ended, or when nothing has happened for so many seconds."""
        last, since, start = -1, time.monotonic(), time.monotonic()
        while time.monotonic() < min(since + patience, start + LONGEST_REST):
            flows = await self._all("/flows")
            if all_accepted() and all(map(_has_ended, flows)):
                return
            events = sum(flow["lastSeq"] for flow in flows)
            if events != last:
                last, since = events, time.monotonic()
            await asyncio.sleep(PAUSE)

    async def read(self, flow_ids: Sequence[str]) -> Reading:
        listed = [flow["id"] for flow in await self._all("/flows")]
        flows = {flow_id: await self._told(flow_id) for flow_id in flow_ids if flow_id in set(listed)}
        unfinished = [flow_id for flow_id, told in flows.items() if not _has_ended(told.flow)]
        explained = {flow_id: await self._explain(flow_id) for flow_id in unfinished[:EXPLAINED]}
        return Reading(flows=flows, listed=listed, explained=explained)

    async def _told(self, flow_id: str) -> Told:
        return Told(
            flow=await self._get(f"/flows/{flow_id}"),
            jobs=await self._all(f"/flows/{flow_id}/jobs"),
            entries=await self._all(f"/flows/{flow_id}/events"),
        )

    async def _explain(self, flow_id: str) -> str:
        explanation = await self._get(f"/flows/{flow_id}/explain")
        return "; ".join(f"{reason['count']} {reason['detail']}" for reason in explanation["reasons"])

    async def _all(self, path: str) -> list[Json]:
        """A list, page by page."""
        items: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self._get(path, limit="500", **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    async def _get(self, path: str, **query: str) -> Json:
        """An answer, however often it takes to ask: processes may just be starting again."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = await self._http.get(path, params=query)
                if answer.is_success:
                    found: Json = answer.json()
                    return found
                complaint = f"{answer.status_code}: {answer.text}"
            except httpx.TransportError as error:
                complaint = repr(error)
            if time.monotonic() > deadline:
                raise SystemExit(f"no answer to GET {path}: {complaint}")
            await asyncio.sleep(PAUSE)


def _has_ended(flow: Json) -> bool:
    return flow["status"] in ENDED and not any(n for status, n in flow["counts"].items() if status not in ENDED)
