"""Quotas of namespaces, purely: what an object uses, which quotas count it, and whether they allow it.

Upstream: pkg/quota/v1/evaluator/core, and apiserver's pkg/quota/v1 and plugin/resourcequota.
"""
