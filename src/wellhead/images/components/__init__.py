"""Images of wellhead's own components, for other people's clusters: archives, made without Docker.

`catalog.py` says which there are. `debian.py` takes files of packages, `python.py` has what runs wellhead,
and wellhead; `make.py` makes layers of that, equal bytes each time, and archives of layers.
"""
