"""CustomResourceDefinitions: what one may say (`rules`, of its schemas `structure` and `schema`), and which
names it gets (`names`). What becomes of its objects is in `api/custom`."""

from wellhead.api.kinds.customresourcedefinition.strategy import CUSTOMRESOURCEDEFINITIONS, KIND

__all__ = ["CUSTOMRESOURCEDEFINITIONS", "KIND"]
