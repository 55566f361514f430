"""A file (or a folder) for each kind: what it is called, what it may be, how `kubectl get` shows it.

Each has a constant KIND, which `wellhead.api.resources` lists. Nothing else is said of a kind elsewhere.
"""
