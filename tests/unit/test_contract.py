"""The contract that lies beside the dashboard is the one that the service tells."""

from pathlib import Path

from bullflow.http.contract import contract

FILE = Path(__file__).parents[2] / "dashboard" / "openapi.json"


def test_the_file_of_the_contract_is_the_contract() -> None:
    assert FILE.read_text() == contract(), "the API has changed; `make contract` renews dashboard/openapi.json"
