"""Workers by name: `MODULE:WORKER` as an object, or one clear sentence about what is wrong."""

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from bullflow.errors import Misconfigured
from bullflow.worker import Worker


def load_workers(targets: Sequence[str]) -> list[Worker]:
    """The workers that `targets` name; raises Misconfigured for the first that cannot be had."""
    return [load_worker(target) for target in targets]


def load_worker(target: str) -> Worker:
    """The worker behind `module:attribute`; modules are looked for in the working directory first."""
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise Misconfigured(f"{target!r} names no worker; write MODULE:WORKER, for example examples.video:worker")
    module = _module(module_name)
    try:
        found: Any = getattr(module, attribute)
    except AttributeError:
        raise Misconfigured(f"the module {module_name} has no {attribute!r}{_offer(module)}") from None
    if not isinstance(found, Worker):
        raise Misconfigured(f"{target} is not a Worker but a {type(found).__name__}{_offer(module)}")
    return found


def _module(name: str) -> ModuleType:
    directory = os.getcwd()
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if _is_part_of(error.name, name):
            raise Misconfigured(_missing(name, directory)) from None
        raise Misconfigured(f"the module {name} needs a module that is missing: {error.name}") from error
    except Exception as error:
        raise Misconfigured(f"the module {name} fails when it is imported: {type(error).__name__}: {error}") from error


def _is_part_of(missing: str | None, name: str) -> bool:
    """Whether the import failed at the module itself or at a package around it, not at something inside it."""
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _missing(name: str, directory: str) -> str:
    if name.endswith(".py"):
        path = name.removesuffix(".py").removeprefix("./")
        return f"{name} is a file; name it as a module: {path.replace('/', '.')}"
    return f"there is no module {name} (looked in {directory} and in what is installed)"


def _offer(module: ModuleType) -> str:
    workers = [name for name, value in vars(module).items() if isinstance(value, Worker)]
    return f"; its workers are: {', '.join(workers)}" if workers else "; it has no workers"
