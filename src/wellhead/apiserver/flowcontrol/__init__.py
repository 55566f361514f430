"""Priority and fairness: `control` lets requests in, `keeper` keeps the objects that say how.

Upstream: apiserver's pkg/util/flowcontrol and pkg/server/filters/priority-and-fairness.go.
"""
