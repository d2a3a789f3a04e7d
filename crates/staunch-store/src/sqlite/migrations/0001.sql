-- The first schema. Times are milliseconds since 1970 UTC by the store's clock. `n` is a row's number inside this file
-- and never leaves it: hot tables name a run by it, so that their keys stay narrow.

-- One row: totals that would otherwise need a scan, and the newest time this store ever told.
CREATE TABLE tally (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    clock INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    running INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    in_flight INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    log_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0);

-- Texts of workflow files. Owner: a workflow or a run that names it; swept when none does.
CREATE TABLE revision (
    n INTEGER PRIMARY KEY,
    sha BLOB NOT NULL UNIQUE,
    text TEXT NOT NULL
) STRICT;

-- Current workflows. Owner: the file; gone when it is retired.
CREATE TABLE workflow (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL REFERENCES revision (n),
    file TEXT,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX workflow_by_revision ON workflow (revision);

-- Runs. Owner: retention. Only what changes with a commit or what lists filter by stands here.
CREATE TABLE run (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    workflow TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES revision (n),
    origin TEXT NOT NULL,
    rerun_of BLOB,
    state INTEGER NOT NULL,
    outcome INTEGER,
    version INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    journal INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    log_bytes INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX run_by_id ON run (id);
CREATE INDEX run_by_workflow ON run (workflow, id);
CREATE INDEX run_by_revision ON run (revision);
CREATE INDEX run_open ON run (state, id) WHERE state < 2;
CREATE INDEX run_by_outcome ON run (outcome, id) WHERE outcome IS NOT NULL;
CREATE INDEX run_by_workflow_outcome ON run (workflow, outcome, id) WHERE outcome IS NOT NULL;
CREATE INDEX run_by_age ON run (ended_at) WHERE ended_at IS NOT NULL;

-- Inputs of a run that has any. Apart from `run`, because they are large and never change.
CREATE TABLE input (
    run INTEGER PRIMARY KEY REFERENCES run (n) ON DELETE CASCADE,
    inputs TEXT NOT NULL
) STRICT;

-- How many runs of a workflow are over: retention asks for it per workflow.
CREATE TABLE kept (
    workflow TEXT PRIMARY KEY,
    ended INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Workers and their leases. Owner: the worker; gone when it leaves or its lease runs out.
CREATE TABLE worker (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    lease_until INTEGER NOT NULL
) STRICT;

-- Attempts in flight, and only those, so that claiming stays fast however long the history is. Owner: the open run.
-- A claim that is made with the attempt, as in a chain of steps, and its end touch one page: no index holds it. So who frees
-- what a dead worker held looks through the whole table.
CREATE TABLE ready (
    run INTEGER NOT NULL REFERENCES run (n),
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    worker INTEGER REFERENCES worker (n),
    claimed_at INTEGER,
    epoch INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    kill INTEGER,
    PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX ready_due ON ready (due_at) WHERE worker IS NULL AND kill IS NULL;
CREATE INDEX ready_kill ON ready (worker, due_at) WHERE kill IS NOT NULL;

-- Attempts that are over. Owner: the run. The log comes last, so that reading the rest does not read it.
CREATE TABLE attempt (
    run INTEGER NOT NULL REFERENCES run (n) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    log_kind INTEGER NOT NULL,
    log_bytes INTEGER NOT NULL,
    result TEXT NOT NULL,
    log BLOB,
    PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;

-- What was told of a run, numbered without holes. Owner: the run. `plan` is set where it is part of the journal.
CREATE TABLE event (
    run INTEGER NOT NULL REFERENCES run (n) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    plan TEXT,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- Idempotency keys. Owner: their expiry. They outlive their run: a request sent again must not do its work again
-- only because retention was quick.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    asked BLOB NOT NULL,
    run BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
