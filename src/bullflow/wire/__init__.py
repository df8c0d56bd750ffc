"""The JSON shapes of REST and WebSocket, shared by the service and its clients."""

from bullflow.wire.asked import FlowIn, JobIn, JobOptions
from bullflow.wire.reading import MAX_FAULTS, Limits, read_flow, read_json
from bullflow.wire.shown import (
    CheckedFlow,
    CreatedFlow,
    Event,
    EventPage,
    Flow,
    FlowPage,
    FlowTree,
    Health,
    Job,
    JobError,
    JobNode,
    JobPage,
    Problem,
    ProblemFault,
    Progress,
    Readiness,
)

__all__ = [
    "MAX_FAULTS",
    "CheckedFlow",
    "CreatedFlow",
    "Event",
    "EventPage",
    "Flow",
    "FlowIn",
    "FlowPage",
    "FlowTree",
    "Health",
    "Job",
    "JobError",
    "JobIn",
    "JobNode",
    "JobOptions",
    "JobPage",
    "Limits",
    "Problem",
    "ProblemFault",
    "Progress",
    "Readiness",
    "read_flow",
    "read_json",
]
