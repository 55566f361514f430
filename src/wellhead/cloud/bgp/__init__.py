"""VIPs announced by BGP: each node tells its routers which of them it serves, and they spread connections.

`advertised.py` decides, `config.py` says it in BIRD's words, `bird.py` runs BIRD, `speaker.py` ties them
together on one node. BIRD speaks the protocol.
"""
