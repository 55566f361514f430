"""Requests for certificates, as values: what is asked for, and whether a kubernetes.io signer signs that."""
