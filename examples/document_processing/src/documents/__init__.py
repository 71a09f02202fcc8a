"""The application: uploads, what is made of them, and its web pages."""
