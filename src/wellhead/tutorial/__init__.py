"""The walk through Kubernetes' tutorial “Using Source IP”: its commands, typed into real shells, and checked.

`steps.py` is the document as data, `expect.py` says what a right answer looks like, `shells.py` types,
`walk.py` puts them together. Only the command line imports this.
"""
