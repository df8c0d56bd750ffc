"""An explanation as the API shows it."""

from collections.abc import Sequence
from typing import Any

from bullflow.clock import iso_or_none
from bullflow.flow.explain import Example, Explanation, OpenChildren
from bullflow.service.explain import Explained


def explained_shape(explained: Explained) -> dict[str, Any]:
    return {
        "flowId": explained.flow_id,
        "status": explained.status,
        "engine": "ok" if explained.engine_away is None else explained.engine_away,
        "reasons": [_reason(reason, explained) for reason in explained.reasons],
    }


def _reason(told: Explanation, explained: Explained) -> dict[str, Any]:
    return {
        "reason": told.reason.value,
        "detail": told.detail,
        "count": told.count,
        "queueName": told.queue_name,
        "behind": told.behind,
        "until": iso_or_none(told.until),
        "jobs": [_job(job, explained.children.get(job.id)) for job in told.examples],
    }


def _job(job: Example, children: OpenChildren | None) -> dict[str, Any]:
    shown = _plain(job)
    if children is not None:
        shown["waitsFor"] = {"count": children.count, "jobs": _all(children.first)}
    return shown


def _all(jobs: Sequence[Example]) -> list[dict[str, Any]]:
    return [_plain(job) for job in jobs]


def _plain(job: Example) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status.value,
        "queueName": job.queue_name,
        "worker": job.worker,
        "startedAt": iso_or_none(job.started_at),
    }
