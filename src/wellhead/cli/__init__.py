"""The command line: one file per command, parsing and printing only.

`main.py` finds the commands by name and imports a command's module when it is asked for, so that
`wellhead kubeconfig` does not pay for the API server. Nothing imports this package.
"""
