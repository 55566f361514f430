"""The service proxy of one node: watches Services, EndpointSlices and its Node, and programs the kernel.

Decisions are made in `wellhead.services`; here they are carried out. `start.py` asks the API server first of
all, `main.py` ties watches, view, backend, conntrack, health-check ports and metrics together. Imported by
`wellhead.cli.proxy` alone.
"""
