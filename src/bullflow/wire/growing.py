"""Reading what running jobs add below themselves: from their handlers, and as workers tell the recorder of it."""

from typing import Any

from bullflow.errors import Fault, Invalid
from bullflow.flow.growth import GrownJob, Growth
from bullflow.flow.tree import ID, Node
from bullflow.wire.reading import Limits, Place, Reading, read_json

GROWTH_VERSION = 1


def read_children(children: Any, limits: Limits) -> tuple[Node, ...]:
    """The trees that a running job adds below itself; raises Invalid, with pointers like `/0/name`."""
    if not isinstance(children, list | tuple):
        raise Invalid([Fault("", "must be a list of jobs")])
    reading = Reading(limits)
    nodes = [reading.node(child, Place(f"/{index}", 1)) for index, child in enumerate(children)]
    if reading.faults:
        raise Invalid(reading.faults)
    return tuple(node for node in nodes if node is not None)


def read_growth(text: str, at: int, limits: Limits) -> Growth:
    """What a worker tells of jobs that it has added; raises Invalid for what no worker of ours would say.

    {"v": 1, "flow": id, "parent": id, "parentJobId": BullMQ id, "jobs": [{"id", "parent", "name", "queueName",
    "data", "opts"}, …]}, parents before their children.
    """
    told = read_json(text)
    jobs = told.get("jobs") if isinstance(told, dict) and told.get("v") == GROWTH_VERSION else None
    if not isinstance(jobs, list) or not (_is_id(told.get("flow")) and _is_id(_without_run(told.get("parentJobId")))):
        raise Invalid([Fault("", "is no growth of a known version")])
    reading = Reading(limits)
    grown = [_grown(reading, job, index) for index, job in enumerate(jobs)]
    if reading.faults:
        raise Invalid(reading.faults)
    known = tuple(job for job in grown if job is not None)
    return Growth(at=at, flow_id=told["flow"], parent_job_id=told["parentJobId"], jobs=known)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _without_run(job_id: Any) -> Any:
    return job_id.rpartition("-")[0] if isinstance(job_id, str) and job_id.rpartition("-")[2].isascii() else None


def _grown(reading: Reading, job: Any, index: int) -> GrownJob | None:
    fields = dict(job) if isinstance(job, dict) else {}
    job_id, parent_id = fields.pop("id", None), fields.pop("parent", None)
    node = reading.node(fields, Place(f"/jobs/{index}", 1))
    if not (_is_id(job_id) and _is_id(parent_id)):
        raise Invalid([Fault(f"/jobs/{index}", "has no id, or no parent")])
    return None if node is None else GrownJob(id=job_id, parent_id=parent_id, node=node)
