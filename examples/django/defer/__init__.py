"""Background functions: one in each file, named after it."""
