-- Statements by name. Those that a planner could get wrong name their index: its own choice cost 92 ms
-- a claim at a backlog of 200,000.

-- name: begin
UPDATE project SET revision = revision + 1 RETURNING revision, paused, time_offset, frozen_at, epoch;

-- name: project
SELECT id, durability, paused, revision, time_offset, frozen_at, epoch FROM project;

-- name: set_clock
UPDATE project SET time_offset = :offset, frozen_at = :frozen_at, epoch = :epoch;

-- name: ask_clock_move
INSERT INTO clock_moves (action, state, start, target) VALUES (:action, 'asked', :start, :target)
RETURNING *;

-- name: put_clock_move
UPDATE clock_moves SET state = :state, target = :target, runs_on = :runs_on WHERE id = :id;

-- name: clock_move
SELECT * FROM clock_moves WHERE id = ?;

-- name: active_clock_moves
SELECT * FROM clock_moves INDEXED BY clock_moves_active
WHERE state IN ('asked', 'going', 'cancelling') ORDER BY id;

-- name: create_project
INSERT OR IGNORE INTO project (one, id, created_at) VALUES (1, ?, ?);

-- name: set_durability
UPDATE project SET durability = ?;

-- name: pause_all
UPDATE project SET paused = ?;


-- === functions ================================================================================

-- name: functions
SELECT name, status, problem, paused, cron_after, spec FROM functions ORDER BY name;

-- name: function
SELECT name, status, problem, functions.paused, project.paused AS all_paused, cron_after, spec
FROM functions, project WHERE name = ?;

-- name: called_function
SELECT kind, concurrency FROM functions WHERE name = ?;

-- name: paused_functions
SELECT name FROM functions WHERE paused = 1;

-- name: pause_function
UPDATE functions SET paused = ? WHERE name = ?;

-- name: put_function
INSERT INTO functions (name, kind, concurrency, status, problem, cron_after, spec)
VALUES (:name, :kind, :concurrency, :status, :problem, :cron_after, :spec)
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, concurrency = excluded.concurrency, status = excluded.status,
    problem = excluded.problem, cron_after = excluded.cron_after, spec = excluded.spec;

-- name: called_names
-- All functions that were ever called, by jumps over the index.
WITH RECURSIVE called (name) AS (
    SELECT (SELECT min(function) FROM executions)
    UNION ALL
    SELECT (SELECT min(function) FROM executions WHERE function > called.name)
    FROM called WHERE called.name IS NOT NULL
)
SELECT name FROM called WHERE name IS NOT NULL;

-- name: fire_cron
INSERT OR IGNORE INTO cron_fires (function, minute, epoch) VALUES (?, ?, ?);

-- name: cron_seen
UPDATE functions SET cron_after = max(coalesce(cron_after, :minute), :minute) WHERE name = :function;

-- name: rewind_crons
UPDATE functions SET cron_after = min(cron_after, ?) WHERE cron_after IS NOT NULL;


-- === executions ===============================================================================

-- name: summary
sequence, id, function, state, priority, scheduled_at, created_at, updated_at, started_at, finished_at,
discard_at, attempt, error_code, executed_by, rerun_of, depth, metadata;

-- name: next_sequence
SELECT coalesce(max(sequence), 0) + 1 FROM executions;

-- name: insert_execution
INSERT INTO executions (
    sequence, id, function, state, priority, scheduled_at, created_at, updated_at, discard_at,
    executed_by, rerun_of, depth, revision, metadata, arguments
) VALUES (
    :sequence, :id, :function, 'created', :priority, :scheduled_at, :now, :now, :discard_at,
    :executed_by, :rerun_of, :depth, :revision, :metadata, :arguments
);

-- name: insert_metadata
INSERT INTO metadata (key, value, sequence) VALUES (?, ?, ?);

-- name: execution
SELECT $summary FROM executions WHERE id = ?;

-- name: whole_execution
SELECT * FROM executions WHERE id = ?;

-- name: depth
SELECT depth FROM executions WHERE id = ?;

-- name: cancel
UPDATE executions SET
    state = 'cancelled', ended_by = :by, finished_at = :now, updated_at = :now, revision = :revision
WHERE sequence = :sequence AND state = 'created'
RETURNING $summary;

-- name: abort
UPDATE executions SET state = 'aborting', ended_by = :by, updated_at = :now, revision = :revision
WHERE sequence = :sequence AND state = 'started'
RETURNING $summary;

-- name: abort_attempt
UPDATE attempts SET state = 'aborting', updated_at = :now
WHERE sequence = :sequence AND attempt = :attempt;

-- name: reschedule
UPDATE executions SET scheduled_at = :scheduled_at, updated_at = :now, revision = :revision
WHERE sequence = :sequence AND state = 'created'
RETURNING $summary;

-- name: waiting_ancestors
-- From a parent upwards, as long as the next one waits for the one before.
WITH RECURSIVE ancestor (function, state, executed_by, priority) AS (
    SELECT function, state, executed_by, priority FROM executions WHERE id = ?
    UNION ALL
    SELECT executions.function, executions.state, executions.executed_by, executions.priority
    FROM ancestor JOIN executions ON executions.id = ancestor.executed_by
    WHERE ancestor.priority > 0
)
SELECT function FROM ancestor WHERE state IN ('started', 'aborting');

-- name: descendants
WITH RECURSIVE descendant (sequence, id) AS (
    SELECT sequence, id FROM executions WHERE id = ?
    UNION
    SELECT executions.sequence, executions.id
    FROM descendant JOIN executions ON executions.executed_by = descendant.id
)
SELECT $summary FROM executions WHERE sequence IN (SELECT sequence FROM descendant) ORDER BY sequence;

-- name: children
SELECT $summary FROM executions INDEXED BY executions_by_parent
WHERE executed_by = ? ORDER BY sequence LIMIT ?;

-- name: latest
SELECT id FROM executions ORDER BY sequence DESC LIMIT 1;

-- name: latest_failed
SELECT id FROM executions INDEXED BY executions_by_state
WHERE state = 'failed' ORDER BY sequence DESC LIMIT 1;

-- name: ids_that_begin
SELECT id, function FROM executions WHERE id >= :first AND id < :beyond ORDER BY id LIMIT :limit;

-- name: ids_that_end
-- The end of an id says which sequences it can belong to: each `step`-th.
WITH RECURSIVE candidate (sequence) AS (
    SELECT :first
    UNION ALL
    SELECT sequence + :step FROM candidate
    WHERE sequence + :step <= (SELECT max(sequence) FROM executions)
)
SELECT id, function FROM candidate CROSS JOIN executions USING (sequence)
WHERE substr(id, :offset) = :suffix LIMIT :limit;

-- name: outcomes
SELECT $summary, result, failure FROM executions INDEXED BY executions_by_id
WHERE id IN (SELECT value FROM json_each(?))
    AND state IN ('succeed', 'failed', 'cancelled', 'aborted', 'discarded');

-- name: holders
SELECT $summary FROM executions INDEXED BY executions_running
WHERE function = ? AND state IN ('started', 'aborting') ORDER BY sequence LIMIT ?;

-- name: awaited
-- What an execution waits for, as far as it started it.
SELECT $summary FROM executions INDEXED BY executions_by_parent
WHERE executed_by = ? AND priority > 0 AND state IN ('created', 'started', 'aborting')
ORDER BY sequence LIMIT ?;

-- name: count_awaited
SELECT count(*) FROM executions INDEXED BY executions_by_parent
WHERE executed_by = ? AND priority > 0 AND state IN ('created', 'started', 'aborting');

-- name: all_places_taken
-- One that waits for another has given its place back.
SELECT count(*) FROM executions AS one INDEXED BY executions_running
WHERE state IN ('started', 'aborting') AND NOT EXISTS (
    SELECT 1 FROM executions AS child INDEXED BY executions_by_parent
    WHERE child.executed_by = one.id AND child.priority > 0
        AND child.state IN ('created', 'started', 'aborting')
);

-- name: last_failure
SELECT failure FROM attempts WHERE sequence = ? AND failure IS NOT NULL ORDER BY attempt DESC LIMIT 1;


-- === the scheduler ============================================================================

-- name: changes_since
-- What is due at once is claimed, not looked at: a flood of calls costs no more here than its index.
SELECT sequence, id, function, state, attempt, scheduled_at
FROM executions INDEXED BY executions_by_revision
WHERE revision > :after AND revision < :revision AND NOT (state = 'created' AND scheduled_at <= :now)
ORDER BY revision, sequence;

-- name: running
SELECT sequence, id, function, attempt, state, arguments, executed_by, priority
FROM executions INDEXED BY executions_running
WHERE state IN ('started', 'aborting') ORDER BY sequence;

-- name: discard_due
UPDATE executions SET state = 'discarded', finished_at = :now, updated_at = :now, revision = :revision
WHERE sequence IN (
    SELECT sequence FROM executions INDEXED BY executions_to_discard
    WHERE state = 'created' AND started_at IS NULL AND discard_at <= :now
    ORDER BY discard_at LIMIT :limit
) RETURNING sequence, id, function, state, attempt, scheduled_at;

-- name: next_discard
SELECT min(discard_at) FROM executions INDEXED BY executions_to_discard
WHERE state = 'created' AND started_at IS NULL AND discard_at IS NOT NULL;

-- name: pending_groups
-- The first due time of each function and priority that has something to start, by jumps over the index.
WITH RECURSIVE head (sequence) AS (
    SELECT (
        SELECT sequence FROM executions INDEXED BY executions_pending WHERE state = 'created'
        ORDER BY function, priority, scheduled_at, sequence LIMIT 1
    )
    UNION ALL
    SELECT coalesce(
        (SELECT sequence FROM executions INDEXED BY executions_pending
         WHERE state = 'created' AND function = here.function AND priority > here.priority
         ORDER BY function, priority, scheduled_at, sequence LIMIT 1),
        (SELECT sequence FROM executions INDEXED BY executions_pending
         WHERE state = 'created' AND function > here.function
         ORDER BY function, priority, scheduled_at, sequence LIMIT 1)
    )
    FROM head CROSS JOIN executions AS here ON here.sequence = head.sequence
)
SELECT function, priority, scheduled_at FROM head CROSS JOIN executions USING (sequence);

-- name: next_pending
-- The next due time of what could start if there were an emulator.
SELECT scheduled_at FROM executions INDEXED BY executions_by_scheduled_at
WHERE scheduled_at > ? AND state = 'created' AND NOT (SELECT paused FROM project)
    AND function NOT IN (SELECT name FROM functions WHERE paused = 1 OR status <> 'ready')
ORDER BY scheduled_at LIMIT 1;

-- name: places_taken
SELECT count(*) FROM executions INDEXED BY executions_running
WHERE function = ? AND state IN ('started', 'aborting');

-- name: due_in_group
SELECT scheduled_at, sequence FROM executions INDEXED BY executions_pending
WHERE state = 'created' AND function = :function AND priority = :priority AND scheduled_at <= :now
ORDER BY scheduled_at, sequence LIMIT :limit;

-- name: count_due_in_group
SELECT count(*) FROM (
    SELECT 1 FROM executions INDEXED BY executions_pending
    WHERE state = 'created' AND function = :function AND priority = :priority AND scheduled_at <= :now
    LIMIT :limit
);

-- name: next_due_in_group
SELECT min(scheduled_at) FROM executions INDEXED BY executions_pending
WHERE state = 'created' AND function = :function AND priority = :priority AND scheduled_at > :now;

-- name: cancel_due_in_group
UPDATE executions SET
    state = 'cancelled', ended_by = 'limit', finished_at = :now, updated_at = :now, revision = :revision
WHERE sequence IN (
    SELECT sequence FROM executions INDEXED BY executions_pending
    WHERE state = 'created' AND function = :function AND priority = :priority AND scheduled_at <= :now
        AND started_at IS NULL
    ORDER BY scheduled_at, sequence LIMIT :limit
) RETURNING sequence, id, function, state, attempt, scheduled_at;

-- name: start
UPDATE executions SET
    state = 'started', attempt = attempt + 1, started_at = :now, updated_at = :now, revision = :revision
WHERE sequence IN (SELECT value FROM json_each(:sequences))
RETURNING sequence, id, function, attempt, state, arguments, executed_by, priority;

-- name: start_attempts
INSERT INTO attempts (
    sequence, attempt, state, scheduled_at, created_at, updated_at, started_at, generation
)
SELECT
    sequence, attempt, 'started', scheduled_at,
    coalesce(
        (SELECT finished_at FROM attempts AS last
         WHERE last.sequence = executions.sequence AND last.attempt = executions.attempt - 1),
        created_at
    ),
    :now, :now, :generation
FROM executions WHERE sequence IN (SELECT value FROM json_each(:sequences));

-- name: settling
SELECT sequence, id, function, state, attempt, scheduled_at FROM executions
WHERE sequence = ? AND attempt = ? AND state IN ('started', 'aborting');

-- name: settle
UPDATE executions SET
    state = :state, attempt = :attempt, scheduled_at = :scheduled_at, finished_at = :finished_at,
    updated_at = :now, error_code = :error_code, result = :result, failure = :failure, revision = :revision
WHERE sequence = :sequence;

-- name: settle_attempt
UPDATE attempts SET
    state = :state, finished_at = :finished_at, updated_at = :now, error_code = :error_code, failure = :failure
WHERE sequence = :sequence AND attempt = :attempt;

-- name: forget_attempt
DELETE FROM attempts WHERE sequence = ? AND attempt = ?;


-- === attempts and logs ========================================================================

-- name: attempts
SELECT * FROM attempts WHERE sequence = ? ORDER BY attempt DESC;

-- name: attempt
SELECT * FROM attempts WHERE sequence = ? AND attempt = ?;

-- name: append_log
INSERT INTO logs (sequence, revision, line, attempt, time, stream, message) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: logs
SELECT time, attempt, stream, message FROM logs
WHERE sequence = :sequence AND (:attempt IS NULL OR attempt = :attempt) ORDER BY revision, line;
