"""What `redact` names is hidden from callers without the scope `payloads`, before anything is shown to them.

Values are data, results and progress, which are JSON. Messages of errors and lines of logs are text, and stay.
"""

from dataclasses import replace
from typing import Any

import orjson

from bullflow.flow.access import Caller, Scope
from bullflow.flow.redact import HIDDEN, Rules, redacted
from bullflow.http.rooms import Rooms
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView, JobView

_HIDDEN = orjson.dumps(HIDDEN)


def veil_of(rooms: Rooms, caller: Caller) -> "Veil":
    """What this caller does not see."""
    return _NONE if caller.may(Scope.PAYLOADS) else Veil(rooms.redact)


class Veil:
    """Hides values in what was read; without rules it hides nothing and costs nothing."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def __bool__(self) -> bool:
        return bool(self._rules)

    def flow(self, flow: FlowView) -> FlowView:
        return replace(flow, result=self._text(flow.result)) if self else flow

    def job(self, job: JobView) -> JobView:
        if not self:
            return job
        data = self._shown(orjson.loads(job.data)).decode()
        return replace(job, data=data, result=self._text(job.result), progress=self._text(job.progress))

    def item(self, item: LogItem) -> LogItem:
        """An entry of a log; only results are values in it."""
        return replace(item, data=self._within(item.data, "result").decode()) if self else item

    def progress(self, message: bytes) -> bytes:
        """A message that tells of a job's progress, or of a line of its log."""
        return self._within(message, "progress") if self else message

    def _within(self, text: str | bytes, name: str) -> bytes:
        told: dict[str, Any] = orjson.loads(text)
        if name in told:
            told[name] = orjson.Fragment(self._shown(told[name]))
        return orjson.dumps(told)

    def _text(self, text: str | None) -> str | None:
        return None if text is None else self._shown(orjson.loads(text)).decode()

    def _shown(self, value: Any) -> bytes:
        """The value as it may be seen. What is nested deeper than can be looked through is not seen at all."""
        try:
            return orjson.dumps(redacted(value, self._rules))
        except (RecursionError, TypeError, ValueError):
            return _HIDDEN


_NONE = Veil(Rules())
