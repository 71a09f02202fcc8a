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

-- name: insert_faults
INSERT INTO faults (sequence, faults) VALUES (?, ?);

-- name: faults
SELECT faults FROM faults WHERE sequence = ?;

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

-- name: workflow
-- Level by level, so that one that is cut is cut at its lowest level.
WITH RECURSIVE branch (sequence, id) AS (
    SELECT sequence, id FROM executions WHERE id = :id
    UNION
    SELECT executions.sequence, executions.id
    FROM branch CROSS JOIN executions INDEXED BY executions_by_parent ON executions.executed_by = branch.id
    LIMIT :limit
)
SELECT $summary FROM executions WHERE sequence IN (SELECT sequence FROM branch) ORDER BY sequence;

-- name: ancestors
WITH RECURSIVE ancestor (id, level) AS (
    SELECT executed_by, 1 FROM executions WHERE id = :id AND executed_by IS NOT NULL
    UNION
    SELECT executions.executed_by, level + 1
    FROM ancestor CROSS JOIN executions INDEXED BY executions_by_id ON executions.id = ancestor.id
    WHERE executions.executed_by IS NOT NULL AND level < :limit
)
SELECT $summary FROM executions INDEXED BY executions_by_id
WHERE id IN (SELECT id FROM ancestor) ORDER BY depth;

-- name: reruns
SELECT $summary FROM executions INDEXED BY executions_by_rerun
WHERE rerun_of = ? ORDER BY sequence DESC LIMIT ?;

-- name: children_by_state
SELECT function, state, count(*) AS count, max(id) AS latest
FROM executions INDEXED BY executions_by_parent
WHERE executed_by = ? GROUP BY function, state ORDER BY min(sequence);

-- name: children
SELECT $summary FROM executions INDEXED BY executions_by_parent
WHERE executed_by = ? ORDER BY sequence LIMIT ?;

-- name: latest
SELECT id FROM executions ORDER BY sequence DESC LIMIT 1;

-- name: recent
SELECT id, function, state FROM executions ORDER BY sequence DESC LIMIT :limit;

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

-- name: insert_foreground
INSERT INTO foreground (sequence, pid, start_time) VALUES (?, ?, ?);

-- name: foreground
SELECT sequence, pid, start_time FROM foreground;

-- name: leave_foreground
DELETE FROM foreground WHERE sequence = ?;

-- name: faults_of
SELECT sequence, faults FROM faults WHERE sequence IN (SELECT value FROM json_each(:sequences));

-- name: settling
SELECT sequence, id, function, state, attempt, scheduled_at FROM executions
WHERE sequence = ? AND attempt = ? AND state IN ('started', 'aborting');

-- name: succeed
-- What most ends are, all at once: [[sequence, attempt, result], ...]. A column that is not named costs its
-- indexes nothing.
UPDATE executions SET
    state = 'succeed', finished_at = :now, updated_at = :now, revision = :revision,
    result = json_extract(ended.value, '$[2]')
FROM json_each(:ends) AS ended
WHERE sequence = json_extract(ended.value, '$[0]') AND attempt = json_extract(ended.value, '$[1]')
    AND state = 'started'
RETURNING sequence, id, function, attempt, scheduled_at;

-- name: succeed_attempts
UPDATE attempts SET state = 'succeed', finished_at = :now, updated_at = :now
FROM json_each(:ends) AS ended
WHERE sequence = json_extract(ended.value, '$[0]') AND attempt = json_extract(ended.value, '$[1]');

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

-- name: numbers_of
SELECT sequence FROM executions INDEXED BY executions_by_id WHERE id IN (SELECT value FROM json_each(?));

-- name: last_logs
SELECT id, function, logs.* FROM logs CROSS JOIN executions USING (sequence)
WHERE logs.sequence = :sequence AND logs.time >= :since ORDER BY logs.revision DESC, logs.line DESC LIMIT :limit;

-- name: logs_after
-- Who has printed since then runs, or was written since then.
SELECT executions.id, executions.function, logs.* FROM (
    SELECT sequence FROM executions INDEXED BY executions_by_revision WHERE revision > ?
    UNION
    SELECT sequence FROM executions INDEXED BY executions_running WHERE state IN ('started', 'aborting')
) CROSS JOIN executions USING (sequence) CROSS JOIN logs USING (sequence) WHERE logs.revision > ?;


-- === statistics ===============================================================================

-- name: tally_row
revision, sequence, function, state, attempt, scheduled_at, started_at, finished_at,
CASE WHEN state = 'failed' THEN failure END;

-- name: written_after
SELECT $tally_row FROM executions INDEXED BY executions_by_revision
WHERE (revision, sequence) > (:revision, :sequence) ORDER BY revision, sequence LIMIT :limit;

-- name: written_before
SELECT $tally_row FROM executions INDEXED BY executions_by_revision
WHERE (revision, sequence) < (:revision, :sequence) ORDER BY revision DESC, sequence DESC LIMIT :limit;

-- name: count_states
SELECT state, count(*) FROM executions INDEXED BY executions_by_state GROUP BY state;

-- name: count_pending
SELECT function, sum(scheduled_at <= :now), sum(scheduled_at > :now) FROM executions INDEXED BY executions_pending
WHERE state = 'created' GROUP BY function;

-- name: running_since
SELECT function, state, started_at FROM executions INDEXED BY executions_running
WHERE state IN ('started', 'aborting');

-- name: count_all
-- Counts the entries of the pages of an index: a millisecond for a million.
SELECT count(*) FROM executions;

-- name: tally
SELECT revision, sequence, content FROM tally;

-- name: keep_tally
INSERT INTO tally (one, revision, sequence, content) VALUES (1, ?, ?, ?)
ON CONFLICT (one) DO UPDATE SET
    revision = excluded.revision, sequence = excluded.sequence, content = excluded.content;

-- name: search_logs
SELECT sequence, revision, line, attempt, time, stream, length(message) AS length,
    CASE WHEN length(message) <= :excerpt THEN message
    ELSE substr(message, max(1, instr(lower(message), lower(:text)) - :before), :excerpt) END AS excerpt
FROM logs
WHERE sequence BETWEEN :low AND :high AND (sequence, revision, line) < (:sequence, :revision, :line)
    AND (:like IS NULL OR message LIKE :like ESCAPE '\')
    AND (:stream IS NULL OR stream = :stream) AND (:since IS NULL OR time >= :since)
    AND (:attempt IS NULL OR attempt = :attempt)
    AND (:functions IS NULL OR sequence IN (
        SELECT sequence FROM executions INDEXED BY executions_by_function
        WHERE function IN (SELECT value FROM json_each(:functions)) AND sequence BETWEEN :low AND :high
    ))
ORDER BY sequence DESC, revision DESC, line DESC LIMIT :limit;

-- name: owners
SELECT sequence, id, function FROM executions WHERE sequence IN (SELECT value FROM json_each(?));

-- name: created_from
SELECT created_at FROM executions WHERE sequence >= ? ORDER BY sequence LIMIT 1;

-- name: calls_of
SELECT id, state, created_at, arguments FROM executions INDEXED BY executions_by_function
WHERE function = :function AND length(arguments) <= :longest ORDER BY sequence DESC LIMIT :limit;

-- name: failures_of
SELECT sequence, id, failure FROM executions INDEXED BY executions_by_state
WHERE state = 'failed' AND sequence < :before AND function IN (SELECT value FROM json_each(:functions))
ORDER BY sequence DESC LIMIT :limit;

-- name: missed_crons
SELECT function, first, count, noticed_at FROM missed_crons ORDER BY id DESC LIMIT ?;

-- name: ids_of
SELECT sequence, id FROM executions WHERE sequence IN (SELECT value FROM json_each(?));


-- === retention ================================================================================

-- name: finished_roots
-- A page of executions from a place on, oldest first: those that are the root of a tree, and over.
SELECT sequence, id, created_at, (
    state IN ('succeed', 'failed', 'cancelled', 'aborted', 'discarded')
    AND finished_at < :before AND revision <= :revision
    AND NOT EXISTS (SELECT 1 FROM executions AS parent WHERE parent.id = page.executed_by)
) AS is_over
FROM (
    SELECT sequence, id, created_at, state, finished_at, revision, executed_by
    FROM executions INDEXED BY executions_by_created_at
    WHERE created_at >= :created_at AND (created_at, sequence) > (:created_at, :sequence)
        AND created_at < :before
    ORDER BY created_at, sequence LIMIT :limit
) AS page
ORDER BY created_at, sequence;

-- name: tree
WITH RECURSIVE member (sequence, id) AS (
    SELECT :sequence, :id
    UNION
    SELECT executions.sequence, executions.id
    FROM member JOIN executions INDEXED BY executions_by_parent ON executions.executed_by = member.id
)
SELECT executions.sequence FROM member CROSS JOIN executions USING (sequence);

-- name: kept_of_tree
-- Something of a tree that must stay: not over, too young, or the newest of all.
$tree
WHERE executions.sequence = (SELECT max(sequence) FROM executions) OR NOT (
    executions.state IN ('succeed', 'failed', 'cancelled', 'aborted', 'discarded')
    AND executions.finished_at < :before AND executions.revision <= :revision
) LIMIT 1;

-- name: weight
-- What an execution takes in the file: rows, and the characters of its texts.
SELECT
    (SELECT count(*) FROM attempts WHERE attempts.sequence = executions.sequence) AS attempts,
    (SELECT count(*) FROM logs WHERE logs.sequence = executions.sequence) AS lines,
    length(arguments) + coalesce(length(result), 0) + coalesce(length(failure), 0) + 3 * length(metadata)
    + coalesce((SELECT sum(length(failure)) FROM attempts WHERE attempts.sequence = executions.sequence), 0)
    + coalesce((SELECT sum(length(message)) FROM logs WHERE logs.sequence = executions.sequence), 0)
    AS characters
FROM executions WHERE sequence = ?;

-- name: prunable
SELECT metadata FROM executions WHERE sequence = :sequence
    AND state IN ('succeed', 'failed', 'cancelled', 'aborted', 'discarded')
    AND finished_at < :before AND revision <= :revision
    AND sequence < (SELECT max(sequence) FROM executions)
    AND NOT EXISTS (SELECT 1 FROM executions AS child WHERE child.executed_by = executions.id);

-- name: prune_logs
DELETE FROM logs WHERE (sequence, revision, line) IN (
    SELECT sequence, revision, line FROM logs WHERE sequence = ? LIMIT ?
);

-- name: prune_attempts
DELETE FROM attempts WHERE sequence = ?;

-- name: prune_metadata
DELETE FROM metadata WHERE key = ? AND value = ? AND sequence = ?;

-- name: prune_faults
DELETE FROM faults WHERE sequence = ?;

-- name: prune_foreground
DELETE FROM foreground WHERE sequence = ?;

-- name: prune_execution
DELETE FROM executions WHERE sequence = ?;

-- name: prune_cron_fires
-- None of these minutes can become due again: a clock that goes back begins another epoch.
DELETE FROM cron_fires WHERE (function, minute, epoch) IN (
    SELECT function, minute, epoch FROM functions CROSS JOIN cron_fires
    WHERE cron_fires.function = functions.name AND minute < ? LIMIT ?
);


-- === snapshots ================================================================================

-- name: count_executions
SELECT count(*), count(*) FILTER (WHERE state IN ('created', 'started', 'aborting')) FROM executions;

-- name: rename_project
UPDATE project SET id = ?, revision = revision + 1;

-- name: raise_revision
-- Never lower than before: who waits for news looks at it.
UPDATE project SET revision = max(revision, ?) + 1;

-- name: forget_foreground
DELETE FROM foreground;


-- === notifications ============================================================================

-- name: remember_failure
INSERT OR IGNORE INTO untold_failures (is_root, sequence)
SELECT executed_by IS NULL, sequence FROM executions WHERE sequence = ?;

-- name: miss_cron
INSERT INTO missed_crons (function, first, count, noticed_at) VALUES (?, ?, ?, ?);

-- name: anything_untold
-- A child whose root still runs is looked at again when that has ended.
SELECT EXISTS (SELECT 1 FROM untold_failures) OR EXISTS (SELECT 1 FROM missed_crons WHERE told = 0)
    OR EXISTS (
        SELECT 1 FROM (SELECT DISTINCT root FROM failed_children) LEFT JOIN executions ON sequence = root
        WHERE state IS NULL OR state IN ('succeed', 'cancelled', 'aborted', 'discarded')
    );

-- name: untold_failures
SELECT sequence, id, function, state, attempt, finished_at, metadata, executed_by, failure
FROM untold_failures LEFT JOIN executions USING (sequence) ORDER BY is_root, sequence LIMIT ?;

-- name: forget_failure
DELETE FROM untold_failures WHERE is_root IN (0, 1) AND sequence = ?;

-- name: is_untold
SELECT EXISTS (SELECT 1 FROM untold_failures WHERE is_root IN (0, 1) AND sequence = ?);

-- name: root_of
-- The topmost ancestor that still exists.
WITH RECURSIVE ancestor (sequence, executed_by, level) AS (
    SELECT sequence, executed_by, 0 FROM executions WHERE sequence = ?
    UNION ALL
    SELECT executions.sequence, executions.executed_by, level + 1
    FROM ancestor JOIN executions ON executions.id = ancestor.executed_by
)
SELECT sequence, id, function, state, attempt, finished_at, metadata, failure FROM executions
WHERE sequence = (SELECT sequence FROM ancestor ORDER BY level DESC LIMIT 1);

-- name: put_failed_child
INSERT OR IGNORE INTO failed_children (root, sequence) VALUES (?, ?);

-- name: awaits_roots
SELECT EXISTS (SELECT 1 FROM failed_children);

-- name: ended_roots
-- Of failed children; those that were deleted too.
SELECT root, sequence, id, function, state, attempt, finished_at, metadata, failure
FROM (SELECT DISTINCT root FROM failed_children) LEFT JOIN executions ON sequence = root
WHERE state IS NULL OR state IN ('succeed', 'cancelled', 'aborted', 'discarded') LIMIT ?;

-- name: failed_children
SELECT id, function, failure FROM failed_children CROSS JOIN executions USING (sequence)
WHERE root = ? ORDER BY sequence LIMIT ?;

-- name: count_failed_children
SELECT count(*) FROM failed_children WHERE root = ?;

-- name: forget_failed_children
DELETE FROM failed_children WHERE root = ?;

-- name: untold_crons
SELECT id, function, first, count, noticed_at FROM missed_crons INDEXED BY missed_crons_untold
WHERE told = 0 ORDER BY id LIMIT ?;

-- name: cron_told
UPDATE missed_crons SET told = 1 WHERE id = ?;

-- name: open_message
SELECT * FROM messages INDEXED BY messages_unfinished
WHERE state = 'open' AND state IN ('open', 'pending') AND topic = ?;

-- name: unfinished_messages
SELECT * FROM messages INDEXED BY messages_unfinished
WHERE state = ? AND state IN ('open', 'pending') ORDER BY id;

-- name: add_message
INSERT INTO messages (kind, topic, state, created_at, opened_at, joined_at, content)
VALUES (:kind, :topic, 'open', :now, :real, :real, :content);

-- name: join_message
UPDATE messages SET content = :content, joined_at = :real WHERE id = :id;

-- name: close_message
UPDATE messages SET state = :state, closed_at = :real, next_try = :real, body = :body
WHERE id = :id AND state = 'open';

-- name: put_try
UPDATE messages SET
    state = :state, tries = tries + 1, next_try = :next_try, sent_at = :sent_at, problem = :problem
WHERE id = :id AND state = 'pending';

-- name: try_all_again
UPDATE messages SET next_try = :real WHERE state = 'pending' AND next_try > :real;

-- name: last_told
SELECT max(closed_at) FROM messages WHERE topic = ?;

-- name: count_told
SELECT count(*) FROM messages WHERE closed_at > ?;

-- name: forget_messages
DELETE FROM messages WHERE state NOT IN ('open', 'pending')
    AND id <= (SELECT id FROM messages ORDER BY id DESC LIMIT 1 OFFSET ?);

-- name: forget_missed_crons
DELETE FROM missed_crons WHERE told = 1
    AND id <= (SELECT id FROM missed_crons ORDER BY id DESC LIMIT 1 OFFSET ?);

-- name: messages
SELECT * FROM messages WHERE id < :before ORDER BY id DESC LIMIT :limit;

-- name: message
SELECT * FROM messages WHERE id = ?;
