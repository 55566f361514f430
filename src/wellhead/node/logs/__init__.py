"""Containers' logs on the disk: which files there are of one, and that they don't grow for ever."""
