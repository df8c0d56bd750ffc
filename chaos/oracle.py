"""What must become of a flow, told from its definition alone.

It knows what BullMQ's documentation says of a child's failure and what the ring's own handlers do with
their data. It imports nothing of bullflow, and says the handlers' sum over again in its own words, so a
fault of the code under test cannot hide in it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]

ALWAYS = -1
"""As `fails` of a job's data: it fails whenever it is tried."""
OPTIONS = {
    "failParentOnFailure": "fail",
    "ignoreDependencyOnFailure": "ignore",
    "removeDependencyOnFailure": "remove",
    "continueParentOnFailure": "continue",
}


class Ambiguous(Exception):
    """What becomes of this flow depends on who is faster, so nobody can say what is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a job must end. One that runs below a parent which did not wait for it may be cancelled instead."""

    label: str
    status: str
    result: Mapping[str, Any] | None
    may_be_cancelled: bool


def judge(flow: Node) -> list[Verdict]:
    """A verdict on each job, in tree order."""
    return list(_tell(_Fate(flow), may_be_cancelled=False))


def fails(node: Node) -> bool:
    """Whether this job ends as failed, as far as that lies in itself and in what is below it."""
    return _Fate(node).has_failed


def dooms(node: Node) -> bool:
    """Whether a failure below it, or its own, fails all above it whatever their policies say."""
    fate = _Fate(node)
    return fate.is_doomed or (fate.has_failed and fate.policy == "none")


def policy(node: Node) -> str:
    """What this child's failure means for its parent; without any word of it the parent fails."""
    opts = node.get("opts", {})
    named = [word for option, word in OPTIONS.items() if opts.get(option)]
    if named:
        return named[0]
    return "none" if opts.get("failParentOnFailure") is False else "fail"


class _Fate:
    """What becomes of a job and of all below it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.policy = policy(node)
        self.children: list[_Fate] = [_Fate(child) for child in node.get("children", ())]
        failed = [child for child in self.children if child.has_failed]
        doomed = [child for child in self.children if child.is_doomed or (child in failed and child.policy == "none")]
        fatal = [child for child in failed if child.policy == "fail" and child not in doomed]
        waking = [child for child in failed if child.policy == "continue" and child not in doomed]
        if sum(map(bool, (doomed, fatal, waking))) > 1:
            raise Ambiguous(node["data"]["label"])
        self.causes = [*doomed, *fatal, *waking]
        """Children because of which the job did not wait for the others."""
        self.is_doomed: bool = bool(doomed)
        self.has_failed: bool = bool(doomed or fatal) or _fails_itself(node)
        self.told = sum(child.policy == "ignore" for child in failed)

    def result(self) -> Mapping[str, Any] | None:
        if self.has_failed:
            return None
        data, name = self.node["data"], self.node["name"]
        return {"name": name, "label": data["label"], "hash": self._hash(data)}

    def _hash(self, data: Mapping[str, Any]) -> str:
        """Over the job's own seed, its children's hashes by their names, and how many it was told have failed."""
        text = str(data["seed"])
        if not data["alone"]:
            by_name: dict[str, list[str]] = {}
            for child in self.children:
                result = child.result()
                if result is not None:
                    by_name.setdefault(result["name"], []).append(result["hash"])
            given = ";".join(f"{name}={','.join(sorted(by_name[name]))}" for name in sorted(by_name))
            text = f"{text}|{given}|{self.told}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fails_itself(node: Node) -> bool:
    data, attempts = node["data"], node.get("opts", {}).get("attempts", 1)
    return bool(data["fails"] == ALWAYS or data["fails"] >= attempts)


def _tell(fate: _Fate, *, may_be_cancelled: bool) -> Iterator[Verdict]:
    yield Verdict(
        label=fate.node["data"]["label"],
        status="failed" if fate.has_failed else "completed",
        result=fate.result(),
        may_be_cancelled=may_be_cancelled,
    )
    for child in fate.children:
        yield from _tell(child, may_be_cancelled=may_be_cancelled or _was_left(child, fate.causes))


def _was_left(child: _Fate, causes: Sequence[_Fate]) -> bool:
    """Whether its parent went on without it: because of another child, which has failed before."""
    return any(cause is not child for cause in causes)
