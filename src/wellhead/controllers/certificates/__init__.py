"""Certificates on request: kubelets' own are approved, what is approved is signed, what is old is deleted."""
