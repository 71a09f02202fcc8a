"""The children's side of the runner, one folder for each language."""
