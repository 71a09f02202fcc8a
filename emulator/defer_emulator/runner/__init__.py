"""Runs executions in processes of their own."""
