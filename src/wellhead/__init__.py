"""wellhead: Kubernetes Service networking, built around the source IP that a server sees."""

__version__ = "0.1.0"
