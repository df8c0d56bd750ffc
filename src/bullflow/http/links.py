"""What can be asked about what was just created, as OpenAPI links: what is made from the contract can follow them."""

from typing import Any

_CREATED = {"/flows": "", "/flows/bulk": "/flows/0"}
"""Where in the answers of the routes that create a flow is."""
_PARTS = {"flow_id": "/id", "job_id": "/jobs/0/id", "name": "/queueName"}
"""Which part of a flow stands for which parameter of a path: its root is the first of its jobs."""


def link(schema: dict[str, Any]) -> None:
    """Lead from the routes that create to all routes about a flow, a job or a queue."""
    for created, place in _CREATED.items():
        schema["paths"][created]["post"]["responses"]["201"]["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {name: f"$response.body#{place}{part}"},
            }
            for name, part in _PARTS.items()
            for path, operations in schema["paths"].items()
            if f"{{{name}}}" in path
            for operation in operations.values()
        }
