"""What `redact` names is hidden from callers without the scope `payloads`, before anything is shown to them.

Values are data, results and progress, which are JSON. Messages of errors and lines of logs are text, and stay.
"""

from dataclasses import replace
from typing import Any

import orjson

from bullflow.flow.access import Caller, Scope
from bullflow.flow.redact import Rules, redacted
from bullflow.http.rooms import Rooms
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView, JobView


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
        data, result, progress = map(self._text, (job.data, job.result, job.progress))
        return replace(job, data=data or job.data, result=result, progress=progress)

    def item(self, item: LogItem) -> LogItem:
        """An entry of a log; only results are values in it."""
        return replace(item, data=self._within(item.data, "result").decode()) if self else item

    def progress(self, message: bytes) -> bytes:
        """A message that tells of a job's progress, or of a line of its log."""
        return self._within(message, "progress") if self else message

    def _within(self, text: str | bytes, name: str) -> bytes:
        told: dict[str, Any] = orjson.loads(text)
        if name in told:
            told[name] = redacted(told[name], self._rules)
        return orjson.dumps(told)

    def _text(self, text: str | None) -> str | None:
        return None if text is None else orjson.dumps(redacted(orjson.loads(text), self._rules)).decode()


_NONE = Veil(Rules())
