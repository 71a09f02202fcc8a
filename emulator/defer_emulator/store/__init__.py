"""The project's file: everything that happened and will happen."""
