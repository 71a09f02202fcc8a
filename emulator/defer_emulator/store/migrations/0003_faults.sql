CREATE TABLE faults (  -- what was asked to go wrong with an execution
    sequence INTEGER PRIMARY KEY,
    faults   TEXT NOT NULL  -- JSON, see domain/faults.py
) STRICT;

CREATE TABLE foreground (  -- executions that a process of a person's runs, in place of an emulator
    sequence   INTEGER PRIMARY KEY,
    pid        INTEGER NOT NULL,
    start_time TEXT    NOT NULL  -- tells the process from a later one with the same pid
) STRICT;
