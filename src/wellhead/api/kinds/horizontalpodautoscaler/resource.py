"""What HorizontalPodAutoscalers are called: of both versions, of which autoscaling/v2 is stored."""

from __future__ import annotations

from wellhead.api.resource import Resource

HORIZONTALPODAUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=frozenset({"status"}),
)
HORIZONTALPODAUTOSCALERS_V1 = Resource(
    "autoscaling",
    "v1",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=frozenset({"status"}),
    stored_as="autoscaling/horizontalpodautoscalers",
)
