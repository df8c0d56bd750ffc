"""What a veil makes of values that can hardly be looked through."""

import orjson
import pytest

from bullflow.flow.redact import HIDDEN, rules
from bullflow.http.veil import Veil
from bullflow.store.log import LogItem


def item(data: str) -> LogItem:
    return LogItem(flow_id="f", seq=1, at=0, event="job.completed", id="j", job_id="j-1", data=data)


@pytest.mark.parametrize("depth", [5, 250, 300, 900])
def test_a_value_however_deep_is_shown_without_what_is_named_or_not_at_all(depth: int) -> None:
    deep = '{"a":' * depth + '{"password":"p-secret"}' + "}" * depth
    veil = Veil(rules(["password"]))

    shown = orjson.loads(veil.item(item(f'{{"status":"completed","result":{deep}}}')).data)

    assert shown["status"] == "completed"
    assert shown["result"] == HIDDEN or "p-secret" not in repr(shown["result"])
    assert "p-secret" not in veil.progress(f'{{"type":"progress","progress":{deep}}}'.encode()).decode()


def test_messages_without_values_stay_as_they_are() -> None:
    veil = Veil(rules(["password"]))

    assert orjson.loads(veil.progress(b'{"type":"log","line":"password=1"}')) == {"type": "log", "line": "password=1"}
    assert orjson.loads(veil.item(item('{"status":"active","attempt":1}')).data) == {"status": "active", "attempt": 1}
