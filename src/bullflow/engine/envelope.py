"""What bullflow tells its own worker about a job: one key in the job's BullMQ options, with a version.

    {"bullflow": {"v": 1, "flow": "<flow id>", "id": "<job id>", "children": {"<name>": ["<BullMQ id>", …]},
                  "order": [["<name>", <how many>], …], "grown": [["<name>", "<BullMQ id>", …], …]}}

Other workers carry it along and need not know it. `children` is there so that a parent finds its
children's values by name even when the children's own jobs are no longer in the engine; `order` says how
names take turns, where there are several. `grown` are those that the job has added since it last waited
for children: their values are kept from it until it has waited for them all, so that a run which repeats
one that has died sees what that one saw.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from bullflow.flow.plan import Branch

VERSION = 1
KEY = "bullflow"

Child = tuple[str, str]
"""A child's name and its BullMQ id."""

# Ours alone; BullMQ does not know them, so they travel in the envelope.
_OWN_OPTIONS = frozenset({"timeout"})
# In BullMQ one job's option prunes the ended jobs of its whole queue, other users' among them, and a root that removes
# itself could not be told from one that never came. The store remembers; how long the engine does is the operator's.
# The limit has BullMQ prune nothing: `ended` does, when the store has what it removes.
_OPERATORS_OPTIONS = frozenset({"removeOnComplete", "removeOnFail"})
_NOT_BULLMQS = _OWN_OPTIONS | _OPERATORS_OPTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The envelope as a worker reads it; empty for a job that bullflow did not make."""

    flow_id: str | None = None
    id: str | None = None
    timeout_ms: int | None = None
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: tuple[tuple[str, int], ...] = ()
    """How many of each name follow each other, where there are several names."""
    grown: tuple[Child, ...] = ()
    """Children that it has added and has not waited for yet; they are not among the others."""

    @property
    def in_order(self) -> tuple[Child, ...]:
        """The children one by one; name by name where nothing says how the names take turns."""
        left = {name: list(reversed(ids)) for name, ids in self.children.items()}
        found = [
            (name, left[name].pop())
            for name, count in self.order
            if name in left
            for _ in range(min(count, len(left[name])))
        ]
        return (*found, *((name, job_id) for name, ids in left.items() for job_id in reversed(ids)))


_NONE = Envelope()


def seal(branch: Branch, keep_seconds: int) -> dict[str, Any]:
    """The BullMQ options of a job: what was asked for, its fixed id, how long to keep it, and the envelope."""
    job = branch.job
    keep = {"age": keep_seconds, "limit": 0}
    asked = {name: value for name, value in job.opts.items() if name not in _NOT_BULLMQS}
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
    known = (*(below.job for below in branch.children), *branch.ended, *branch.kept)
    if not known:
        return {}
    return _listed([(child.name, child.job_id) for child in sorted(known, key=lambda child: child.position)])


def with_grown(opts: Mapping[str, Any], added: Iterable[Child]) -> dict[str, Any]:
    """The options of a job that has added these children."""
    own = opts[KEY]
    grown = [*_grown(own.get("grown")), *added]
    return {**opts, KEY: {**own, "grown": [[name, *(job_id for _, job_id in run)] for name, run in _runs(grown)]}}


def with_grown_settled(opts: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a job that waits for the children it has added, or has waited for them."""
    own = {key: value for key, value in opts[KEY].items() if key not in ("children", "order", "grown")}
    envelope = unseal(opts)
    return {**opts, KEY: {**own, **_listed([*envelope.in_order, *envelope.grown])}}


def _listed(children: Iterable[Child]) -> dict[str, Any]:
    in_order = list(children)
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name, job_id in in_order:
        names[name].append(job_id)
    order = {"order": [[name, sum(1 for _ in run)] for name, run in _runs(in_order)]} if len(names) > 1 else {}
    return {"children": dict(names), **order} if names else {}


def _runs(children: Iterable[Child]) -> Iterable[tuple[str, Iterable[Child]]]:
    return groupby(children, key=itemgetter(0))


def unseal(opts: Mapping[str, Any]) -> Envelope:
    """The envelope of a job that a worker has received; whatever cannot be read is left out."""
    own = opts.get(KEY)
    if not isinstance(own, dict) or own.get("v") != VERSION:
        return _NONE
    timeout = own.get("timeout")
    return Envelope(
        flow_id=_text(own.get("flow")),
        id=_text(own.get("id")),
        timeout_ms=timeout if type(timeout) is int and timeout > 0 else None,
        children=_names(own.get("children")),
        order=_order(own.get("order")),
        grown=_grown(own.get("grown")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _names(children: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(children, dict):
        return {}
    return {
        str(name): tuple(job_id for job_id in ids if isinstance(job_id, str))
        for name, ids in children.items()
        if isinstance(ids, list | tuple)
    }


def _order(runs: Any) -> tuple[tuple[str, int], ...]:
    pairs = [run for run in runs if isinstance(run, list) and len(run) == 2] if isinstance(runs, list) else []
    return tuple((name, count) for name, count in pairs if isinstance(name, str) and type(count) is int)


def _grown(runs: Any) -> tuple[Child, ...]:
    if not isinstance(runs, list):
        return ()
    return tuple(
        (run[0], job_id)
        for run in runs
        if isinstance(run, list) and all(isinstance(part, str) for part in run)
        for job_id in run[1:]
    )
