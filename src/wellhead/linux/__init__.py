"""The few Linux system calls that Python 3.11's `os` lacks: namespaces and mounts.

Thin: a function is one system call or one file of /proc, errors are OSError with the kernel's errno. Knows
nothing of wellhead, so every component may import it.
"""
