"""The controllers: each makes one part of the cluster follow what API objects ask for.

They run in one process (`main.py`) on shared informers, and speak to nothing but the API. A controller that
has decisions of its own keeps them pure (`plan.py` and its neighbours), apart from the thin reconcile loop
(`controller.py`) that reads the stores, asks, and writes. Only `cli/` and `lab/` may import this package.
"""
