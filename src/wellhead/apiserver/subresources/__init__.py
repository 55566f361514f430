"""Subresources with rules of their own, and the reviews. `status` and `finalize` are updates like any."""
