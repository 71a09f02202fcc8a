"""The application: its database, its mails, its web routes."""
