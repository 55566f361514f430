"""Container images: unpacked root file systems under one directory, found by name.

Used by the node agent, the lab, the command line, and the cloud, whose HAProxy is in one of them.

Nothing is pulled from anywhere. `build.py` makes the built-in ones (a recipe module each) from Debian
packages that are downloaded but never installed; `store.py` finds them for the agent, which only reads.
"""
