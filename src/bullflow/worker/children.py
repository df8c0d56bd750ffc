"""What a job's children have returned, by their names."""

from collections.abc import Iterator, Mapping
from typing import Any


class Children(Mapping[str, Any]):
    """`children["download-video"]` is the return value of the child of that name.

    When several children have the name it is the first one's; `all` gives all of them, in the order
    of the request. Children that failed, and whose failure the parent ignores, are in `failures`.
    """

    def __init__(
        self, names: Mapping[str, tuple[str, ...]], values: Mapping[str, Any], failures: Mapping[str, str]
    ) -> None:
        self._values = {
            name: tuple(values[job_id] for job_id in ids if job_id in values) for name, ids in names.items()
        }
        self._failures = {
            name: [failures[job_id] for job_id in ids if job_id in failures] for name, ids in names.items()
        }

    def __getitem__(self, name: str) -> Any:
        values = self._values.get(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __iter__(self) -> Iterator[str]:
        return (name for name, values in self._values.items() if values)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def all(self, name: str) -> tuple[Any, ...]:
        """The return values of all children of this name."""
        return self._values.get(name, ())

    @property
    def failures(self) -> dict[str, list[str]]:
        """Reasons of failures that are to be ignored, by the children's names."""
        return {name: reasons for name, reasons in self._failures.items() if reasons}
