"""The local emulator: the scheduler, its store, its workers and its console."""
