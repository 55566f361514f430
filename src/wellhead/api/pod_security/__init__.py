"""The Pod Security Standards: what pods may do that could reach beyond them, by level and version.

Upstream: the module k8s.io/pod-security-admission, policies up to v1.36.
"""
