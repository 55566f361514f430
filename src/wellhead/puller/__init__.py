"""Pulls images that pods wait for: the one process of a cluster with a way to the outside.

It is on no machine of it, speaks only the Kubernetes API, and puts what it pulled where `wellhead image load`
does.
"""
