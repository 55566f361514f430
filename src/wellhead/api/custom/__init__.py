"""Custom kinds: what a CustomResourceDefinition says of its objects, and what becomes of it.

A schema is read as it is written (JSONSchemaProps, as decoded from JSON): nothing is made of it ahead of time
but its rules' programs. `kind` makes a `Kind` of a version, so that custom objects go the way of all others.
"""
