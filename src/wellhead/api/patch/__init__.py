"""The three ways to patch an object, as values: JSON patch, JSON merge patch, strategic merge patch.

Every function returns a new object and leaves its arguments alone; parts that a patch doesn't touch are
shared. None of them knows defaults or validation: what they return is decoded and checked like any body.
"""

from wellhead.api.patch.json_patch import apply_json_patch, unknown_fields
from wellhead.api.patch.merge_patch import apply_merge_patch
from wellhead.api.patch.strategic import apply_strategic_merge_patch

__all__ = ["apply_json_patch", "apply_merge_patch", "apply_strategic_merge_patch", "unknown_fields"]
