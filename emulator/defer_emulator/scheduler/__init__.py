"""Decides what runs when."""
