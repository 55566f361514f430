"""The audit log: what is noted of a request on its way (`trail`), and the backends that events go to.

Nothing here waits for a disk or another server on the event loop, and every queue has a bound.
"""
