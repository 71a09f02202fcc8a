"""The `defer` command."""
