"""Whole request bodies as bytes, read by functions that another process can run."""

from hashlib import sha256

from bullflow.flow.facts import Json
from bullflow.flow.tree import FlowRequest
from bullflow.wire.reading import Limits, read_flow, read_flows, read_json, read_retry


def flow_in(body: bytes, limits: Limits) -> tuple[FlowRequest, str]:
    """The flow, and what tells its request from another; raises Malformed, Invalid."""
    return read_flow(read_json(body), limits), sha256(body).hexdigest()


def flows_in(body: bytes, limits: Limits, most: int) -> list[FlowRequest]:
    """At most so many flows; raises Malformed, Invalid."""
    return read_flows(read_json(body), limits, most=most)


def data_in(body: bytes, data_bytes: int) -> Json | None:
    """The new data of a job, None when there is none; raises Malformed, Invalid."""
    return read_retry(read_json(body), data_bytes) if body else None
