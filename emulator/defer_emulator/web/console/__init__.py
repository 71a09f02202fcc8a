"""The console: what there is, and acts on it, for a person with a browser. A page is a module."""
