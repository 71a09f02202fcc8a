"""The Python worker. It shares the frames with the emulator, nothing else, and is standard library only."""
