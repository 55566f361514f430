"""What the Kubernetes API *is*: kinds, schema, defaults, validation, selectors, patches, tables.

Pure: nothing here does I/O, beyond reading the schema data of an installed package once, on first use. Every
other package may import this one; it imports nothing of ours. A kind is a file (or a folder) under `kinds/`:
its names, rules and columns. `resources.py` lists them.
"""
