"""Admission webhooks: which there are, and calling them. What they mean is decided in `api/webhooks`."""
