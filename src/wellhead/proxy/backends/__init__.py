"""What programs the kernel: one package for each proxy mode, all behind `Backend` in `base.py`.

A backend gets `ViewDiff`s and makes the kernel follow; it decides nothing about Services. Imported by
`wellhead.proxy` alone.
"""
