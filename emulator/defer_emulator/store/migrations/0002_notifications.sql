-- What is told of failures and of missed crons, and the statistics so far.

-- Executions that have failed, until it is decided what is told of them.
CREATE TABLE untold_failures (
    is_root  INTEGER NOT NULL,  -- those that another one started come first: it tells of them
    sequence INTEGER NOT NULL,
    PRIMARY KEY (is_root, sequence)
) STRICT, WITHOUT ROWID;

-- Those of them whose root has not ended: it may fail too, or have handled it.
CREATE TABLE failed_children (
    root     INTEGER NOT NULL,  -- sequence
    sequence INTEGER NOT NULL,
    PRIMARY KEY (root, sequence)
) STRICT, WITHOUT ROWID;

-- Minutes of crons that passed while nobody could fire them.
CREATE TABLE missed_crons (
    id         INTEGER PRIMARY KEY,
    function   TEXT    NOT NULL,
    first      INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    noticed_at INTEGER NOT NULL,
    told       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX missed_crons_untold ON missed_crons (id) WHERE told = 0;

-- The outbox. An open message still gathers what is like it.
CREATE TABLE messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('failed', 'handled', 'missed')),
    topic      TEXT    NOT NULL,  -- the same for what is alike
    state      TEXT    NOT NULL CHECK (state IN ('open', 'kept', 'pending', 'sent', 'failed')),
    created_at INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,  -- real time, as those below
    joined_at  INTEGER NOT NULL,  -- when the latest was added
    closed_at  INTEGER,           -- since then nothing is added
    next_try   INTEGER,
    sent_at    INTEGER,
    tries      INTEGER NOT NULL DEFAULT 0,
    problem    TEXT,              -- of the latest try
    content    TEXT    NOT NULL,  -- JSON
    body       TEXT               -- JSON: what is sent, once it is closed
) STRICT;

CREATE INDEX messages_unfinished ON messages (state, id) WHERE state IN ('open', 'pending');

-- What was added up of executions, up to a revision: after a restart only the rest is read.
CREATE TABLE tally (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    content  TEXT    NOT NULL  -- JSON
) STRICT;
