"""What happened, for whoever shows it."""
