"""The OpenAPI documents: version 2 as one, version 3 one per group and version, with an index.

Generated when asked for and not kept: whoever serves them caches their bytes. Descriptions come straight from
the schema data, whose JSON Schema (nullable types, `#/$defs/`) is turned into OpenAPI's form.
"""

from wellhead.api.openapi.documents import (
    group_path_of,
    group_paths,
    openapi_v2,
    openapi_v2_part,
    openapi_v3,
    openapi_v3_index,
)

__all__ = [
    "group_path_of",
    "group_paths",
    "openapi_v2",
    "openapi_v2_part",
    "openapi_v3",
    "openapi_v3_index",
]
