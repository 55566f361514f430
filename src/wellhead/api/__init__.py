"""What the Kubernetes API *is*: kinds, schema, defaults, validation, selectors, patches, tables.

Pure: nothing here does I/O, beyond reading the schema data of an installed package once, on first use. Every
other package may import this one; it imports nothing of ours. Kinds are data (`resources.py`); a kind with
rules of its own has them in one file under `kinds/`, found through `strategy.strategy_for`.
"""
