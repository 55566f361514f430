"""Container images: unpacked root file systems under one directory, found by name.

Used by the node agent, the lab, the command line, and the cloud, whose HAProxy is in one of them.

Nothing is pulled from anywhere. `load.py` takes archives that others made: `archive.py` finds the images in
them, `layers.py` looks for harm, skopeo and umoci (`programs.py`, `confined.py`) do the rest, `sharing.py`
keeps equal files once. `build.py` makes the built-in ones (a recipe module each) from Debian packages that
are downloaded but never installed. Both change the store by `placing.py`; `store.py` finds images for the
agent, which only reads.
"""
