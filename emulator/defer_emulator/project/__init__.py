"""The project's `defer/` folder: finding, reading and judging functions without running them."""
