"""What Linux is asked for, by anybody.

The system calls that Python's `os` lacks (`namespaces.py`, `mounts.py`, `inotify.py`), and the network:
`numbers.py` (every number that we share with others on a machine), `netlink.py`, `routes.py`, `conntrack.py`,
`nft.py` (the program) and `nftables/` (without it), `netns.py`. Imports `wellhead.ip` alone, so that every
component may import it; errors are OSError with the kernel's errno, or said.
"""
