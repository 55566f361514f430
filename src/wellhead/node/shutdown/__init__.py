"""A node that goes: its pods are ended in order, and it says so. `plan` decides (pure), `manager` acts."""
