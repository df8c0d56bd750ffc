"""Workers by name on the command line: found, or explained."""

import sys
from pathlib import Path

import pytest

from bullflow.cli.modules import load_worker, load_workers
from bullflow.errors import Misconfigured
from bullflow.worker import Worker


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def test_workers_are_found_in_the_working_directory_first(tmp_path: Path) -> None:
    (tmp_path / "my_tasks.py").write_text("from bullflow import Worker\none = Worker('q')\ntwo = Worker('q')\n")

    workers = load_workers(["my_tasks:one", "my_tasks:two"])

    assert all(isinstance(worker, Worker) for worker in workers)
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize("target", ["tasks", "tasks:", ":worker", ""])
def test_a_name_without_both_halves_is_explained(target: str) -> None:
    with pytest.raises(Misconfigured, match="write MODULE:WORKER"):
        load_worker(target)


@pytest.mark.parametrize("name", ["no_such_module", "no_such_package.tasks", "json.no_such_part"])
def test_a_module_that_is_not_there_is_told_with_where_it_was_looked_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=f"there is no module {name} .looked in {tmp_path}"):
        load_worker(f"{name}:worker")


def test_a_file_name_is_turned_into_a_hint() -> None:
    with pytest.raises(Misconfigured, match=r"name it as a module: jobs\.video"):
        load_worker("jobs/video.py:worker")


def test_a_module_that_misses_another_one_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text("import cv2_that_is_missing\n")

    with pytest.raises(Misconfigured, match="needy needs a module that is missing: cv2_that_is_missing") as caught:
        load_worker("needy:worker")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_module_that_fails_tells_why(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")

    with pytest.raises(Misconfigured, match="broken fails when it is imported: ZeroDivisionError"):
        load_worker("broken:worker")


def test_a_wrong_name_is_answered_with_the_right_ones(tmp_path: Path) -> None:
    (tmp_path / "mistyped.py").write_text("from bullflow import Worker\nvideo = Worker('q')\nother = 1\n")

    with pytest.raises(Misconfigured, match="has no 'vidoe'; its workers are: video"):
        load_worker("mistyped:vidoe")
    with pytest.raises(Misconfigured, match="mistyped:other is not a Worker but a int; its workers are: video"):
        load_worker("mistyped:other")
