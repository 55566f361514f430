"""Admission policies at work: kept by change, and asked about requests."""
