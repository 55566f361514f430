"""What `kubectl get` shows of a kind, a file each: columns, and the cells of one object.

Each file has a constant PRINTER; `wellhead.api.tables` finds it by the kind's name, nobody else imports it.
"""
