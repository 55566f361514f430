"""What others wrote, as values: JSON and YAML whose size, depth and expansion are bounded before the work is.

Nothing here knows what the values mean; `api.schema` does.
"""

from wellhead.api.documents.document import Document, Unreadable
from wellhead.api.documents.extent import check_extent
from wellhead.api.documents.json import read_json
from wellhead.api.documents.yaml import read_yaml

__all__ = ["Document", "Unreadable", "check_extent", "read_json", "read_yaml"]
