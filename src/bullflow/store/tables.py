"""The tables. Instants are milliseconds since the epoch; JSON is kept as text, because no query looks inside it.

`docs/decisions/0003-json-and-time.md` says why.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    false,
    literal,
    literal_column,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bullflow.flow.states import JobStatus

Id = String(36)


class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, str: Text, bool: Boolean}  # noqa: RUF012 - SQLAlchemy's own protocol


class User(Base):
    """Who owns flows. Where nobody shows a token there is one: `local`."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    # Patterns of the queues that the user may use, as JSON; all when there are none.
    queues: Mapped[str] = mapped_column(default="[]", server_default="[]")
    created_at: Mapped[int]
    disabled_at: Mapped[int | None]

    flows: Mapped[list["Flow"]] = relationship(back_populates="user")


# Jobs of a flow that has ended may go on.
_TRAILING = "finished_at IS NOT NULL AND n_waiting + n_waiting_children + n_delayed + n_prioritized + n_active > 0"


class Flow(Base):
    """A tree of jobs made by one request. The `n_…` columns count its jobs by status."""

    __tablename__ = "flows"
    __table_args__ = (
        Index("flows_by_user", "user_id", "id"),
        Index("flows_by_status", "user_id", "status", "id"),
        Index("flows_by_name", "user_id", "name", "id"),
        Index("flows_by_queue", "user_id", "queue_name", "id"),
        Index(
            "flows_to_dispatch",
            "id",
            sqlite_where=text("dispatch_due"),
            postgresql_where=text("dispatch_due"),
        ),
        Index(
            "flows_to_withdraw",
            "id",
            sqlite_where=text("withdraw_due"),
            postgresql_where=text("withdraw_due"),
        ),
        Index(
            "flows_by_deadline",
            "deadline",
            sqlite_where=text("deadline IS NOT NULL AND finished_at IS NULL"),
            postgresql_where=text("deadline IS NOT NULL AND finished_at IS NULL"),
        ),
        Index(
            "flows_unfinished",
            "id",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "flows_by_end",
            "finished_at",
            sqlite_where=text("finished_at IS NOT NULL"),
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index(
            "flows_running_by_user",
            "user_id",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("flows_trailing", "id", sqlite_where=text(_TRAILING), postgresql_where=text(_TRAILING)),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id"))
    root_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(200))
    queue_name: Mapped[str] = mapped_column(String(128))
    status: Mapped[str] = mapped_column(String(16), default="waiting", server_default="waiting")
    error: Mapped[str | None]
    last_seq: Mapped[int] = mapped_column(Integer, default=0)
    dispatch_due: Mapped[bool] = mapped_column(default=True)
    # Jobs that were ended here, and not by a worker, may still be in the engine.
    withdraw_due: Mapped[bool] = mapped_column(default=False, server_default=false())
    fail_fast: Mapped[bool] = mapped_column(default=False)
    # The instant, and how long after the flow's creation or its retry it lies.
    deadline: Mapped[int | None]
    time_limit: Mapped[int | None]
    tags: Mapped[str] = mapped_column(default="[]")
    created_at: Mapped[int]
    updated_at: Mapped[int]
    finished_at: Mapped[int | None]
    # Of its jobs' data and of all results that were recorded; what the log and the rows weigh beside is not counted.
    stored_bytes: Mapped[int] = mapped_column(default=0, server_default="0")
    n_waiting: Mapped[int] = mapped_column(Integer, default=0)
    n_waiting_children: Mapped[int] = mapped_column(Integer, default=0)
    n_delayed: Mapped[int] = mapped_column(Integer, default=0)
    n_prioritized: Mapped[int] = mapped_column(Integer, default=0)
    n_active: Mapped[int] = mapped_column(Integer, default=0)
    n_completed: Mapped[int] = mapped_column(Integer, default=0)
    n_failed: Mapped[int] = mapped_column(Integer, default=0)
    n_cancelled: Mapped[int] = mapped_column(Integer, default=0)

    user: Mapped[User] = relationship(back_populates="flows")
    jobs: Mapped[list["FlowJob"]] = relationship(back_populates="flow", order_by="FlowJob.position")


class FlowTag(Base):
    """One row for each tag of a flow, for the filter."""

    __tablename__ = "flow_tags"

    tag: Mapped[str] = mapped_column(String(64), primary_key=True)
    # Indexed by itself as well: a flow that is deleted takes its tags along.
    flow_id: Mapped[str] = mapped_column(Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True, index=True)


class FlowJob(Base):
    """One node of a flow. `job_id` is the BullMQ id of its present run: `<id>-<run>`."""

    __tablename__ = "flow_jobs"
    __table_args__ = (
        Index("flow_jobs_in_tree_order", "flow_id", "position", unique=True),
        Index("flow_jobs_by_parent", "parent_id", "position"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(String(48), unique=True)
    flow_id: Mapped[str] = mapped_column(Id, ForeignKey("flows.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(Id, ForeignKey("flow_jobs.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    depth: Mapped[int] = mapped_column(Integer)
    run: Mapped[int] = mapped_column(Integer, default=1)
    name: Mapped[str] = mapped_column(String(200))
    queue_name: Mapped[str] = mapped_column(String(128))
    data: Mapped[str]
    opts: Mapped[str]
    priority: Mapped[int] = mapped_column(Integer, default=0)
    policy: Mapped[str] = mapped_column(String(8), default="fail", server_default="fail")
    worker: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16), default="waiting", server_default="waiting")
    result: Mapped[str | None]
    error: Mapped[str | None]
    progress: Mapped[str | None]
    attempts_made: Mapped[int] = mapped_column(Integer, default=0)
    last_fact: Mapped[str] = mapped_column(String(40), default="0-0")
    created_at: Mapped[int]
    updated_at: Mapped[int]
    started_at: Mapped[int | None]
    finished_at: Mapped[int | None]

    flow: Mapped[Flow] = relationship(back_populates="jobs")
    children: Mapped[list["FlowJob"]] = relationship(order_by="FlowJob.position")


class LogEntry(Base):
    """A flow's log: `seq` counts 1, 2, 3 … within the flow."""

    __tablename__ = "flow_log"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own protocol

    flow_id: Mapped[str] = mapped_column(Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[int]
    event: Mapped[str] = mapped_column(String(32))
    id: Mapped[str | None] = mapped_column(Id)
    job_id: Mapped[str | None] = mapped_column(String(48))
    data: Mapped[str]


class JobLogLine(Base):
    """A line that a job's handler has logged: `n` counts within the job, over all of its runs."""

    __tablename__ = "job_log"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own protocol

    id: Mapped[str] = mapped_column(Id, ForeignKey("flow_jobs.id", ondelete="CASCADE"), primary_key=True)
    n: Mapped[int] = mapped_column(Integer, primary_key=True)
    run: Mapped[int] = mapped_column(Integer)
    at: Mapped[int]
    line: Mapped[str]


class IdempotencyKey(Base):
    """A key that a client sent with a request, and the flow that the request made."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    # Deferred, because the key is claimed before the flow is written, in one transaction.
    flow_id: Mapped[str] = mapped_column(
        Id, ForeignKey("flows.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), index=True
    )
    created_at: Mapped[int]


class StreamPosition(Base):
    """How far the recorder has read a queue's event stream. A row exists for each queue ever used."""

    __tablename__ = "stream_positions"

    queue_name: Mapped[str] = mapped_column(String(128), primary_key=True)
    position: Mapped[str] = mapped_column(String(40), default="0-0")


class QueueSettings(Base):
    """What an operator has set for a queue. `due` until the engine has it."""

    __tablename__ = "queue_settings"

    queue_name: Mapped[str] = mapped_column(String(128), primary_key=True)
    paused: Mapped[bool] = mapped_column(default=False)
    concurrency: Mapped[int | None]
    rate_max: Mapped[int | None]
    rate_duration: Mapped[int | None]
    due: Mapped[bool] = mapped_column(default=False)


class Lease(Base):
    """Who may do what only one may do at a time. `token` grows with each change of hands."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    token: Mapped[int]
    expires_at: Mapped[int]


class EngineMark(Base):
    """What the engine was last seen to remember, so that one which has forgotten is found out."""

    __tablename__ = "engine_marks"

    prefix: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[int]
    server: Mapped[str | None] = mapped_column(String(64))


COUNT_COLUMNS: dict[JobStatus, str] = {status: "n_" + status.value.replace("-", "_") for status in JobStatus}
ALL_JOBS: ColumnElement[int] = sum((getattr(Flow, name) for name in COUNT_COLUMNS.values()), start=literal(0))
# SQLite uses a partial index only for its very words.
UNFINISHED: ColumnElement[bool] = literal_column("flows.finished_at IS NULL")
TRAILING: ColumnElement[bool] = literal_column(_TRAILING)
