"""Rows of the store as the JSON that the API shows. What is JSON already is put in as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Response

from bullflow.clock import iso, iso_or_none
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import Node
from bullflow.service.retry import Plan
from bullflow.store.flows import NewFlow
from bullflow.store.outlines import OutlinedJob
from bullflow.store.views import FlowView, JobView

JSON = "application/json"
SHOWN_IN_PLAN = 500


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, JSON)


def _raw(text: str | None) -> orjson.Fragment | None:
    return None if text is None else orjson.Fragment(text)


def flow_shape(flow: FlowView) -> dict[str, Any]:
    return {
        "id": flow.id,
        "name": flow.name,
        "status": flow.status,
        "queueName": flow.queue_name,
        "createdAt": iso(flow.created_at),
        "updatedAt": iso(flow.updated_at),
        "finishedAt": iso_or_none(flow.finished_at),
        "userId": flow.user_id,
        "result": _raw(flow.result),
        "error": _raw(flow.error),
        "counts": _counts(flow.counts),
        "lastSeq": flow.last_seq,
        "tags": _raw(flow.tags),
        "failFast": flow.fail_fast,
        "deadline": iso_or_none(flow.deadline),
    }


def flow_json(flow: FlowView) -> bytes:
    return orjson.dumps(flow_shape(flow))


def job_shape(job: JobView) -> dict[str, Any]:
    return {
        "id": job.id,
        "jobId": job.job_id,
        "flowId": job.flow_id,
        "parentId": job.parent_id,
        "name": job.name,
        "queueName": job.queue_name,
        "status": job.status,
        "data": _raw(job.data),
        "opts": _raw(job.opts),
        "result": _raw(job.result),
        "error": _raw(job.error),
        "progress": _raw(job.progress),
        "attemptsMade": job.attempts_made,
        "worker": job.worker,
        "createdAt": iso(job.created_at),
        "updatedAt": iso(job.updated_at),
        "startedAt": iso_or_none(job.started_at),
        "finishedAt": iso_or_none(job.finished_at),
        "children": job.children,
    }


def outlined_shape(job: OutlinedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "parentId": job.parent_id,
        "name": job.name,
        "queueName": job.queue_name,
        "status": job.status,
        "attemptsMade": job.attempts_made,
        "run": job.run,
        "createdAt": iso(job.created_at),
        "startedAt": iso_or_none(job.started_at),
        "finishedAt": iso_or_none(job.finished_at),
        "worker": job.worker,
    }


def tree_shape(jobs: Sequence[JobView]) -> dict[str, Any]:
    """The jobs of the upper levels, in tree order, as a tree; each says how many children were left out."""
    nodes = {job.id: {**job_shape(job), "children": []} for job in jobs}
    for job in jobs:
        if job.parent_id in nodes:
            nodes[job.parent_id]["children"].append(nodes[job.id])
    for job in jobs:
        nodes[job.id]["moreChildren"] = len(job.children) - len(nodes[job.id]["children"])
    return nodes[jobs[0].id]


def checked_shape(root: Node) -> dict[str, Any]:
    """What a flow would be that was only checked."""
    jobs, depth, queues = 0, 0, set()
    stack = [(root, 1)]
    while stack:
        node, level = stack.pop()
        jobs, depth = jobs + 1, max(depth, level)
        queues.add(node.queue_name)
        stack.extend((child, level + 1) for child in node.children)
    return {"jobs": jobs, "depth": depth, "queues": sorted(queues)}


def plan_shape(plan: Plan) -> dict[str, Any]:
    """What a retry would do, the first jobs of each kind by name."""
    again = [{"id": job.id, "name": job.name, "status": job.status.value} for job in plan.again[:SHOWN_IN_PLAN]]
    reused = [{"id": key, "name": name, "status": "completed"} for key, name in plan.reused.items()]
    return {
        "flowId": plan.flow_id,
        "again": {"count": len(plan.again), "jobs": again},
        "reused": {"count": len(reused), "jobs": reused[:SHOWN_IN_PLAN]},
    }


def new_flow_shape(flow: NewFlow, shown: int) -> dict[str, Any]:
    """A flow that was just accepted, with its first jobs, without reading it back."""
    root, at = flow.jobs[0], iso(flow.created_at)
    deadline = flow.request.deadline
    return {
        "id": flow.id,
        "name": root.node.name,
        "status": "waiting",
        "queueName": root.node.queue_name,
        "createdAt": at,
        "updatedAt": at,
        "finishedAt": None,
        "userId": flow.user_id,
        "result": None,
        "error": None,
        "counts": _counts(flow.counts),
        "lastSeq": 1,
        "tags": flow.request.tags,
        "failFast": flow.request.fail_fast,
        "deadline": None if deadline is None else iso(flow.created_at + deadline),
        "jobs": _new_jobs(flow, shown, at),
    }


def _new_jobs(flow: NewFlow, shown: int, at: str) -> list[dict[str, Any]]:
    children: dict[str | None, list[str]] = {}
    for job in flow.jobs:
        children.setdefault(job.parent_id, []).append(job.id)
    return [
        {
            "id": job.id,
            "jobId": job.job_id,
            "flowId": flow.id,
            "parentId": job.parent_id,
            "name": job.node.name,
            "queueName": job.node.queue_name,
            "status": job.status.value,
            "data": orjson.Fragment(job.node.data.text),
            "opts": job.node.opts,
            "result": None,
            "error": None,
            "progress": None,
            "attemptsMade": 0,
            "worker": None,
            "createdAt": at,
            "updatedAt": at,
            "startedAt": None,
            "finishedAt": None,
            "children": children.get(job.id, []),
        }
        for job in flow.jobs[:shown]
    ]


def _counts(counts: Mapping[JobStatus, int]) -> dict[str, int]:
    return {status.value: counts.get(status, 0) for status in JobStatus}
