"""Garbage collection by owner references: background, foreground and orphaning deletion.

`graph` (who owns whom) and `verdict` (what becomes of an object) are pure; `controller` asks the server
before it deletes anything.
"""
