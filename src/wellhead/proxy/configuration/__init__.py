"""How the proxy is told what to do: a KubeProxyConfiguration file, or kube-proxy's flags.

`schema.py` declares every field once, with the flag that also sets it; `settings.py` is the table that this
makes, from which the command line takes its options. `load.py` reads a file or flags into that schema with
the same decoder, and `resolve.py` turns the strings into what the proxy works with (`wellhead.proxy.config`).
Pure but for reading the file. Imported by `wellhead.proxy` and `wellhead.cli.proxy`.
"""
