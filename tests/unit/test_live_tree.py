"""The tree in the terminal: what is drawn, what events change, and what is left out of big flows."""

from io import StringIO
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bullflow.cli.flow_view import FlowView
from bullflow.cli.live_tree import event_line, render
from bullflow.cli.tree_rows import rows_of
from bullflow.clock import instant
from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.wire import Event, Flow, Job, Progress
from support.small_service import AT, flow_document, job_document

CREATED = "2026-01-02T03:04:05.678Z"


def at(seconds: float) -> str:
    return f"2026-01-02T03:04:{seconds:06.3f}Z"


NOW = instant(at(20))


def view_of(*jobs: dict[str, Any], **fields: Any) -> FlowView:
    flow = Flow.model_validate(flow_document("f1", status="active", **fields))
    return FlowView(flow, [Job.model_validate(job) for job in jobs])


def drawn(view: FlowView, *, limit: int = 40, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(render(view, NOW, limit))
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def event(name: str, job: str | None = None, when: float = 10, **data: Any) -> Event:
    return Event.model_validate({"flowId": "f1", "seq": 2, "at": at(when), "event": name, "id": job, "data": data})


def two_jobs() -> FlowView:
    root = job_document("root", status="waiting-children", children=["leaf"])
    return view_of(root, job_document("leaf", parentId="root"))


class TestDrawing:
    def test_each_job_shows_its_state_time_progress_result_and_error(self) -> None:
        view = view_of(
            job_document("r", name="watermark-video", status="waiting-children", children=["a", "b", "c", "f"]),
            job_document(
                "a",
                parentId="r",
                name="download",
                status="completed",
                startedAt=at(6),
                finishedAt=at(7.5),
                result={"file": "/tmp/a.mp4"},
            ),
            job_document(
                "b",
                parentId="r",
                name="transcode",
                status="active",
                startedAt=at(8),
                progress=40,
                queueName="gpu",
                children=["d"],
            ),
            job_document("d", parentId="b", name="probe", status="active", startedAt=at(15), progress={"frame": 12}),
            job_document(
                "c",
                parentId="r",
                name="thumbnail",
                status="failed",
                attemptsMade=3,
                startedAt=at(6),
                finishedAt=at(9),
                error={"message": "no such codec\nsecond line", "attempt": 3},
            ),
            job_document("f", parentId="r", name="notify", status="delayed"),
        )

        assert drawn(view) == dedent("""\
            ● watermark-video  active  14.3 s  f1
              2 of 6 jobs have ended: 1 waiting-children, 1 delayed, 2 active, 1 completed, 1 failed
            ◌ watermark-video  flowQueue             waiting-children
            ├─ ✓ download      flowQueue      1.5 s  {"file": "/tmp/a.mp4"}
            ├─ ● transcode     gpu           12.0 s  ━━━━────── 40 %
            │  └─ ● probe      flowQueue      5.0 s  {"frame": 12}
            ├─ ✗ thumbnail     flowQueue      3.0 s  attempt 3  failed
            │     no such codec second line
            └─ ◔ notify        flowQueue             delayed""")

    def test_a_lone_job_is_counted_as_one(self) -> None:
        assert "0 of 1 job has ended" in drawn(view_of(job_document("root")))

    def test_no_line_is_wider_than_the_terminal(self) -> None:
        root = job_document("root", name="n" * 200, queueName="q" * 128, status="completed", result="x" * 100_000)

        assert all(len(line) <= 60 for line in drawn(view_of(root), width=60).splitlines())

    def test_what_users_and_handlers_wrote_cannot_steer_the_terminal(self) -> None:
        root = job_document(
            "root", name="\u0085[bold]red[/]", status="failed", error={"message": "\x1b[2J\x9b31m\x07\rfor\u202eged"}
        )

        text = drawn(view_of(root))

        assert text.replace("\n", "").isprintable()
        assert "[bold]red[/]" in text

    @pytest.mark.parametrize(
        ("progress", "shown"), [(-5, " 0 %"), (400, " 100 %"), (33.4, " 33 %"), ("half", "half"), (True, "true")]
    )
    def test_progress_of_any_kind_is_shown(self, progress: Any, shown: str) -> None:
        root = job_document("root", status="active", startedAt=at(1), progress=progress)

        assert shown in drawn(view_of(root))

    def test_a_job_that_starts_in_our_future_has_run_for_no_time(self) -> None:
        """The clocks of two machines differ."""
        assert "  0.0 s" in drawn(view_of(job_document("root", status="active", startedAt=at(59))))

    def test_long_times_are_told_in_minutes_and_hours(self) -> None:
        job = job_document("root", status="completed", startedAt="2026-01-02T01:00:00Z")
        minutes = view_of({**job, "finishedAt": "2026-01-02T01:01:05Z"})
        hours = view_of({**job, "finishedAt": "2026-01-02T03:30:00Z"})

        assert "1 m 05 s" in drawn(minutes)
        assert "2 h 30 m" in drawn(hours)


class TestFolding:
    def test_the_life_of_a_job_is_followed(self) -> None:
        view = two_jobs()

        view.fold(event("job.active", "leaf", 8, status="active", attempt=1))
        view.fold(Progress(flow_id="f1", id="leaf", progress=70))
        assert "12.0 s" in drawn(view)
        assert "━━━━━━━─── 70 %" in drawn(view)

        view.fold(event("job.retrying", "leaf", 9, status="delayed", error={"message": "try again"}))
        assert "attempt 2  delayed" in drawn(view)
        assert "try again" in drawn(view)

        view.fold(event("job.active", "leaf", 10, status="active", attempt=2))
        view.fold(event("job.completed", "leaf", 12, status="completed", result=[1]))
        assert "2.0 s  attempt 2  [1]" in drawn(view)
        assert "try again" not in drawn(view)

    def test_the_flow_ends_with_its_last_event(self) -> None:
        view = two_jobs()

        view.fold(event("flow.failed", when=15.678))

        assert view.status is FlowStatus.FAILED
        assert "failed  10.0 s" in drawn(view)

    def test_a_waiting_flow_is_active_with_its_first_active_job(self) -> None:
        view = two_jobs()
        view.status = FlowStatus.WAITING

        view.fold(event("job.waiting", "leaf", status="waiting"))
        assert "  waiting  " in drawn(view)
        view.fold(event("job.active", "leaf", status="active", attempt=1))
        assert "  active  " in drawn(view)

    def test_a_retry_puts_back_what_failed_and_keeps_what_completed(self) -> None:
        root = job_document("root", status="failed", error={"message": "a child failed"}, children=["a", "b"])
        view = view_of(
            root,
            job_document("a", parentId="root", status="completed", result=1),
            job_document("b", parentId="root", status="cancelled"),
        )

        view.fold(event("flow.retried"))

        assert [job.status for job in view.jobs.values()] == ["waiting-children", "completed", "waiting"]
        assert view.jobs["root"].error is None

    def test_events_of_unknown_jobs_change_nothing(self) -> None:
        view = two_jobs()
        before = drawn(view)

        view.fold(event("job.completed", "stranger", status="completed", result=1))
        view.fold(Progress(flow_id="f1", id="stranger", progress=1))

        assert drawn(view) == before

    def test_an_event_is_one_line_with_the_name_and_what_came_of_it(self) -> None:
        view = two_jobs()

        done = event_line(event("job.completed", "leaf", status="completed", result={"a": 1}), view)
        failed = event_line(event("job.failed", "leaf", status="failed", error={"message": "no\ngood"}), view)
        created = event_line(event("flow.created"), view)
        recovered = event_line(event("flow.recovered", jobs=3, reason="the engine has lost 3 jobs of it"), view)

        assert done == '2026-01-02T03:04:10.000Z     2  job.completed    leaf  {"a": 1}'
        assert failed == "2026-01-02T03:04:10.000Z     2  job.failed       leaf  no good"
        assert created == "2026-01-02T03:04:10.000Z     2  flow.created     watermark-video"
        assert recovered.endswith("flow.recovered   watermark-video  the engine has lost 3 jobs of it")

    def test_a_job_that_begins_anew_shows_nothing_of_its_last_run(self) -> None:
        view = two_jobs()
        view.fold(event("job.active", "leaf", status="active", attempt=2))

        view.fold(event("job.waiting", "leaf", status="waiting", run=2))

        leaf = view.jobs["leaf"]
        assert (leaf.status, leaf.attempt, leaf.started_at, leaf.progress) == ("waiting", 1, None, None)


class TestBigFlows:
    def test_failures_and_running_jobs_come_before_the_crowd(self) -> None:
        crowd = [job_document(f"w{n}", parentId="root") for n in range(2_000)]
        crowd[1_500] = job_document("stuck", parentId="root", status="active", startedAt=at(6))
        crowd[1_700] = job_document("broken", parentId="root", status="failed", error={"message": "boom"})
        root = job_document("root", status="waiting-children", children=["w0"])

        lines = drawn(view_of(root, *crowd), limit=10).splitlines()

        assert any("● stuck" in line for line in lines)
        assert any("✗ broken" in line for line in lines)
        assert any("boom" in line for line in lines)
        assert len(lines) == 13
        assert lines[-1] == "… and 1,992 more: 1,992 waiting"

    def test_many_failures_leave_room_for_what_runs(self) -> None:
        failed = [job_document(f"f{n}", parentId="root", status="failed", error={"message": "no"}) for n in range(100)]
        root = job_document("root", status="waiting-children", children=["f0"])
        runs = job_document("alive", parentId="root", status="active", startedAt=at(6))

        assert "alive" in drawn(view_of(root, *failed, runs), limit=20)

    def test_a_job_far_below_its_shown_parent_hangs_on_a_dotted_line(self) -> None:
        chain = [
            job_document(f"n{n}", parentId=f"n{n - 1}" if n else None, status="waiting-children") for n in range(99)
        ]
        leaf = job_document("leaf", parentId="n98", status="active", startedAt=at(6))

        assert "└┄ ● leaf" in drawn(view_of(*chain, leaf), limit=5)

    @settings(deadline=None)
    @given(
        shape=st.lists(
            st.tuples(st.integers(0, 10**6), st.sampled_from(list(JobStatus)), st.booleans()), min_size=1, max_size=80
        ),
        limit=st.integers(2, 45),
    )
    def test_the_limit_is_kept_and_every_job_is_shown_or_counted(
        self, shape: list[tuple[int, JobStatus, bool]], limit: int
    ) -> None:
        view = view_of(*in_tree_order(shape))

        rows = rows_of(view.jobs, limit)

        assert sum(1 if row.job.error is None else 2 for row in rows.shown) <= limit
        assert len(rows.shown) + sum(rows.left_out.values()) == len(shape)
        assert rows.shown[0].job.id == "0"
        assert [int(row.job.id) for row in rows.shown] == sorted(int(row.job.id) for row in rows.shown)
        assert all(row.guide for row in rows.shown[1:])


def in_tree_order(shape: list[tuple[int, JobStatus, bool]]) -> list[dict[str, Any]]:
    """Jobs of any tree, parents before children: each hangs on one of the jobs above the one before it."""
    jobs: list[dict[str, Any]] = []
    line: list[str] = []
    for number, (choice, status, has_error) in enumerate(shape):
        line = line[: choice % len(line) + 1] if line else []
        error = {"message": "no"} if has_error else None
        parent = line[-1] if line else None
        jobs.append(job_document(str(number), parentId=parent, status=status, error=error))
        line = [*line, str(number)]
    return jobs


def test_a_job_that_was_added_while_the_flow_runs_is_shown_below_its_parent_by_its_own_name() -> None:
    flow = Flow.model_validate(flow_document("f1"))
    view = FlowView(flow, [Job.model_validate(job_document("root"))])
    added = {"status": "waiting", "name": "page", "queueName": "web", "parentId": "root"}

    view.fold(
        Event.model_validate(
            {"flowId": "f1", "seq": 2, "at": AT, "event": "job.waiting", "id": "new", "jobId": "new-1", "data": added}
        )
    )

    assert [(job.id, job.name, job.queue_name, job.parent_id) for job in view.jobs.values()][1:] == [
        ("new", "page", "web", "root")
    ]
    assert view.jobs["root"].is_parent
