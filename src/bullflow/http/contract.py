"""The contract of the HTTP API as a file: `python -m bullflow.http.contract` prints it.

It is kept as `dashboard/openapi.json`, from which the dashboard's types are made while no service runs.
"""

import json
import sys

from bullflow.http.app import routed


def contract() -> str:
    """The OpenAPI document, written so that two versions of it can be compared line by line."""
    return json.dumps(routed().openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(contract())
