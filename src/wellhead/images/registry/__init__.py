"""What stands between us and registries: credentials, which places may be reached, and the only way there.

`credentials.py` and `places.py` are pure. `gate.py` is the network of a program that talks to a registry.
"""
