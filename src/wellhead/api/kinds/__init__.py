"""The kinds that have rules of their own, a file each: defaults, what the server decides, validation.

Each file has a constant STRATEGIES: API group → Strategy. `wellhead.api.strategy` finds it by the kind's
name; nobody else imports these modules, but they may share parts (a deployment holds a pod template).
"""
