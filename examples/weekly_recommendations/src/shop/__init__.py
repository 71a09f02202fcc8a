"""The shop: what its web site would use too. Nothing in here knows of background functions."""
