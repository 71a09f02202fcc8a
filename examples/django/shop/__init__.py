"""A shop that mails receipts."""
