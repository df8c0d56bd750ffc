"""Hides what secrets are kept under: in values of any depth, by the names of keys or by where they stand."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HIDDEN = "[redacted]"


@dataclass(frozen=True, slots=True)
class Rules:
    """`keys` in lower case hide what stands under them anywhere; `pointers` are steps from the top, `*` for any."""

    keys: frozenset[str] = frozenset()
    pointers: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys or self.pointers)


def rules(patterns: Iterable[str]) -> Rules:
    """Names of keys, and JSON pointers (RFC 6901)."""
    keys, pointers = set(), []
    for pattern in patterns:
        if pattern.startswith("/"):
            pointers.append(tuple(_step(step) for step in pattern[1:].split("/")))
        else:
            keys.add(pattern.lower())
    return Rules(frozenset(keys), tuple(pointers))


def _step(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def redacted(value: Any, rules: Rules) -> Any:
    """The value with what the rules name hidden."""
    return _redacted(value, rules.keys, rules.pointers)


def _redacted(value: Any, keys: frozenset[str], pointers: Sequence[tuple[str, ...]]) -> Any:
    if isinstance(value, Mapping):
        steps: Iterable[tuple[str, Any]] = value.items()
        return {step: _below(step, inner, keys, pointers, named=step.lower() in keys) for step, inner in steps}
    if isinstance(value, list | tuple):
        return [_below(str(n), inner, keys, pointers, named=False) for n, inner in enumerate(value)]
    return value


def _below(step: str, value: Any, keys: frozenset[str], pointers: Sequence[tuple[str, ...]], *, named: bool) -> Any:
    here = [pointer[1:] for pointer in pointers if pointer[0] in (step, "*")]
    if named or () in here:
        return HIDDEN
    return _redacted(value, keys, here)
