"""How every component speaks to the Kubernetes API: connection, REST calls, informers, reconcilers, events.

Everything but `api/` may import this; it imports `api/` only. Nothing here knows which API server answers:
ours and upstream's are the same to it.
"""
