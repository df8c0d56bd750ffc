"""What bullflow tells its own worker about a job: one key in the job's BullMQ options, with a version.

    {"bullflow": {"v": 1, "flow": "<flow id>", "id": "<job id>", "children": {"<name>": ["<BullMQ id>", …]}}}

Other workers carry it along and need not know it. `children` is there so that a parent finds its
children's values by name even when the children's own jobs are no longer in the engine.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bullflow.flow.plan import Branch

VERSION = 1
KEY = "bullflow"

# Ours alone; BullMQ does not know them, so they travel in the envelope.
_OWN_OPTIONS = ("timeout",)
# In BullMQ one job's option prunes the ended jobs of its whole queue, other users' among them, and a root that removes
# itself could not be told from one that never came. The store remembers; how long the engine does is the operator's.
_OPERATORS_OPTIONS = ("removeOnComplete", "removeOnFail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The envelope as a worker reads it; empty for a job that bullflow did not make."""

    flow_id: str | None = None
    id: str | None = None
    timeout_ms: int | None = None
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def seal(branch: Branch, keep_seconds: int) -> dict[str, Any]:
    """The BullMQ options of a job: what was asked for, its fixed id, how long to keep it, and the envelope."""
    job = branch.job
    keep = {"age": keep_seconds}
    asked = {name: value for name, value in job.opts.items() if name not in _OWN_OPTIONS + _OPERATORS_OPTIONS}
    own = {name: job.opts[name] for name in _OWN_OPTIONS if name in job.opts}
    return {
        "timestamp": job.created_at,
        **asked,
        "removeOnComplete": keep,
        "removeOnFail": keep,
        "jobId": job.job_id,
        KEY: {"v": VERSION, "flow": job.flow_id, "id": job.id, **own, **_children(branch)},
    }


def _children(branch: Branch) -> dict[str, Any]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    known = (*(below.job for below in branch.children), *branch.ended, *branch.kept)
    for child in sorted(known, key=lambda child: child.position):
        names[child.name].append(child.job_id)
    return {"children": dict(names)} if names else {}


def unseal(opts: Mapping[str, Any]) -> Envelope:
    """The envelope of a job that a worker has received; whatever cannot be read is left out."""
    own = opts.get(KEY)
    if not isinstance(own, Mapping) or own.get("v") != VERSION:
        return Envelope()
    timeout = own.get("timeout")
    return Envelope(
        flow_id=_text(own.get("flow")),
        id=_text(own.get("id")),
        timeout_ms=timeout if type(timeout) is int and timeout > 0 else None,
        children=_names(own.get("children")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _names(children: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(children, Mapping):
        return {}
    return {
        str(name): tuple(job_id for job_id in ids if isinstance(job_id, str))
        for name, ids in children.items()
        if isinstance(ids, list | tuple)
    }
