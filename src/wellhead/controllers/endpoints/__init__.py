"""Endpoints, the older form of EndpointSlices: still written for every Service with a selector, and read by
people (`kubectl get endpoints`) and older clients. `subsets` is pure; `controller` writes.
"""
