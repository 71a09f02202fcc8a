-- The reruns of an execution. Only they are in the index: no other call pays for it.
CREATE INDEX executions_by_rerun ON executions (rerun_of, sequence) WHERE rerun_of IS NOT NULL;
