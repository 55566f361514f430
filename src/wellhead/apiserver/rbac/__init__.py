"""Roles and bindings as the API server uses them: who has which, who may give them, which it starts with."""
