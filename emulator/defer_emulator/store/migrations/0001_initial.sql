-- Everything a project remembers. Times are integers: microseconds since the epoch, in UTC, on the
-- emulated clock unless a column says otherwise.

CREATE TABLE project (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    id           TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,            -- real time
    durability   TEXT    NOT NULL DEFAULT 'normal' CHECK (durability IN ('normal', 'full')),
    paused       INTEGER NOT NULL DEFAULT 0,
    revision     INTEGER NOT NULL DEFAULT 0,  -- grows with every write transaction
    -- The emulated clock:
    time_offset  INTEGER NOT NULL DEFAULT 0,  -- µs: emulated minus real time, while it runs
    frozen_at    INTEGER,                     -- the emulated time at which it stands still; NULL: it runs
    epoch        INTEGER NOT NULL DEFAULT 0   -- grows when it is moved back
) STRICT;

CREATE TABLE functions (
    name        TEXT PRIMARY KEY,
    kind        TEXT    NOT NULL CHECK (kind IN ('background', 'cron')),
    concurrency INTEGER,
    status      TEXT    NOT NULL CHECK (status IN ('ready', 'broken', 'removed')),
    problem     TEXT,
    paused      INTEGER NOT NULL DEFAULT 0,
    cron_after  INTEGER,                      -- minutes after it count
    spec        TEXT    NOT NULL              -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE executions (
    -- The order of creation. Nothing may delete the newest row: its number would be given again.
    sequence     INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL,  -- ends with digits that are computed from the sequence
    function     TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    priority     INTEGER NOT NULL DEFAULT 0,  -- its depth if its parent waits for it, else 0
    scheduled_at INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    started_at   INTEGER,  -- of the latest attempt; NULL: never started
    finished_at  INTEGER,
    discard_at   INTEGER,
    attempt      INTEGER NOT NULL DEFAULT 0,
    error_code   TEXT,
    executed_by  TEXT,     -- the id of its parent
    rerun_of     TEXT,     -- an id
    ended_by     TEXT,     -- who cancelled or aborted it: 'request', 'limit', or the id of an execution
    depth        INTEGER NOT NULL DEFAULT 0,  -- number of its ancestors
    revision     INTEGER NOT NULL,            -- of the transaction that wrote it last
    metadata     TEXT    NOT NULL,            -- JSON
    arguments    TEXT    NOT NULL,            -- JSON; big columns come last, so that lists skip them
    result       TEXT,                        -- JSON
    failure      TEXT                         -- JSON
) STRICT;

CREATE UNIQUE INDEX executions_by_id ON executions (id);
CREATE INDEX executions_by_state ON executions (state, sequence);
CREATE INDEX executions_by_function ON executions (function, sequence);
CREATE INDEX executions_by_created_at ON executions (created_at);
CREATE INDEX executions_by_scheduled_at ON executions (scheduled_at);
CREATE INDEX executions_by_revision ON executions (revision);
CREATE INDEX executions_by_started_at ON executions (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX executions_by_error_code ON executions (error_code, sequence) WHERE error_code IS NOT NULL;
CREATE INDEX executions_by_parent ON executions (executed_by, sequence) WHERE executed_by IS NOT NULL;
-- What a claim reads: one range for each function and priority, in due order.
CREATE INDEX executions_pending ON executions (function, priority, scheduled_at, sequence)
    WHERE state = 'created';
CREATE INDEX executions_running ON executions (function, sequence) WHERE state IN ('started', 'aborting');
CREATE INDEX executions_to_discard ON executions (discard_at)
    WHERE state = 'created' AND started_at IS NULL AND discard_at IS NOT NULL;

CREATE TABLE attempts (
    sequence     INTEGER NOT NULL,  -- of the execution
    attempt      INTEGER NOT NULL,  -- counted from 1
    state        TEXT    NOT NULL,
    scheduled_at INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    generation   INTEGER NOT NULL,  -- of the code that ran
    error_code   TEXT,
    failure      TEXT,              -- JSON
    PRIMARY KEY (sequence, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
    sequence INTEGER NOT NULL,  -- of the execution
    revision INTEGER NOT NULL,  -- of the transaction that wrote the line
    line     INTEGER NOT NULL,  -- its place in that transaction
    attempt  INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    stream   TEXT    NOT NULL,
    message  TEXT    NOT NULL,
    PRIMARY KEY (sequence, revision, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE metadata (  -- finds executions; what is shown is in their own row
    key      TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (key, value, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE cron_fires (
    function TEXT    NOT NULL,
    minute   INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    PRIMARY KEY (function, minute, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock_moves (  -- what was asked of the emulated clock; the holder of the project's lock does it
    id      INTEGER PRIMARY KEY,
    action  TEXT    NOT NULL CHECK (action IN ('advance', 'next', 'freeze', 'resume', 'reset')),
    state   TEXT    NOT NULL,
    start   INTEGER NOT NULL,           -- what it showed when it was asked for
    target  INTEGER,
    runs_on INTEGER NOT NULL DEFAULT 0  -- the clock stands for it, and runs on afterwards
) STRICT;

CREATE INDEX clock_moves_active ON clock_moves (id) WHERE state IN ('asked', 'going', 'cancelling');
