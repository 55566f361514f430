"""Typed views of the kinds that have rules of their own: an object is still the dict that was decoded.

No field is promised: what may be missing is read with `get`. Whoever takes objects from a client or a cache
says there, once, which kind they are; from then on mypy knows every field. `generate.py` makes the files.
"""
