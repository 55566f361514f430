"""Where metrics come from: metrics.k8s.io, and the APIs for others' metrics, if somebody serves them.

Source: pkg/controller/podautoscaler/metrics/client.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from wellhead.api.duration import Duration
from wellhead.api.errors import ApiError
from wellhead.api.kinds.usage import POD_METRICS
from wellhead.api.meta import Obj, parse_time
from wellhead.api.quantity import Quantity
from wellhead.api.selectors import LabelSelector
from wellhead.client.rest import Client, ConnectionLost
from wellhead.controllers.podautoscaler.proposal import Incalculable, PodMetric

_CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
_EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"


class Sources:
    """Asks the APIs of metrics. All raise Incalculable, in upstream's words."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of_resource(
        self, namespace: str, selector: LabelSelector, resource: str, container: str
    ) -> dict[str, PodMetric]:
        """By pod, of one container or of all together."""
        try:
            listed = await self._client.list(POD_METRICS, namespace, label_selector=str(selector))
        except (ApiError, ConnectionLost) as error:
            text = f"unable to fetch metrics from resource metrics API: {error}"
            raise Incalculable(text) from error
        items: list[Obj] = listed.get("items") or []
        if not items:
            raise Incalculable("no metrics returned from resource metrics API")
        found = {}
        for item in items:
            value = _of_pod(item, resource, container)
            if value is not None:
                found[item["metadata"]["name"]] = _metric(item, value)
        return found

    async def of_pods(self, namespace: str, selector: LabelSelector, metric: Obj) -> dict[str, PodMetric]:
        """By pod, of a custom metric."""
        items = await self._custom(f"namespaces/{namespace}/pods/*/{quote(metric['name'])}", metric, selector)
        return {
            item["describedObject"]["name"]: _metric(item, Quantity.parse(item["value"]).milli_value)
            for item in items
        }

    async def of_object(self, namespace: str, plural: str, name: str, metric: Obj) -> int:
        """Of one object: `plural` is its resource, with the group."""
        path = f"namespaces/{namespace}/{plural}/{name}/{quote(metric['name'])}"
        if plural == "namespaces":
            path = f"namespaces/{name}/metrics/{quote(metric['name'])}"
        items = await self._custom(path, metric, None)
        if not items:
            raise Incalculable("unable to fetch metrics from custom metrics API: no value")
        return Quantity.parse(items[0]["value"]).milli_value

    async def external(self, namespace: str, metric: Obj) -> int:
        """Of what runs elsewhere: all of its values together."""
        path = f"{_EXTERNAL}/namespaces/{namespace}/{quote(metric['name'])}"
        selector = LabelSelector.from_object(metric.get("selector") or {})
        try:
            listed = await self._client.read(path, {"labelSelector": str(selector)})
        except (ApiError, ConnectionLost) as error:
            text = f"unable to fetch metrics from external metrics API: {error}"
            raise Incalculable(text) from error
        items: list[Obj] = listed.get("items") or []
        if not items:
            raise Incalculable("no metrics returned from external metrics API")
        return sum(Quantity.parse(each["value"]).milli_value for each in items)

    async def _custom(self, path: str, metric: Obj, selector: LabelSelector | None) -> list[Obj]:
        query = {} if selector is None else {"labelSelector": str(selector)}
        if metric.get("selector"):
            query["metricLabelSelector"] = str(LabelSelector.from_object(metric["selector"]))
        try:
            listed = await self._client.read(f"{_CUSTOM}/{path}", query)
        except ApiError as error:
            why = str(error)
            if error.code == 404:
                why = "no custom metrics API (custom.metrics.k8s.io) registered"
            raise Incalculable(f"unable to fetch metrics from custom metrics API: {why}") from error
        except ConnectionLost as error:
            raise Incalculable(f"unable to fetch metrics from custom metrics API: {error}") from error
        return list(listed.get("items") or ())


def _of_pod(metrics: Obj, resource: str, container: str) -> int | None:
    containers: Iterable[Obj] = metrics.get("containers") or ()
    usages = [each["usage"] for each in containers if container in ("", each["name"])]
    if not usages or any(resource not in usage for usage in usages):
        return None
    return sum(Quantity.parse(usage[resource]).milli_value for usage in usages)


def _metric(item: Obj, value: int) -> PodMetric:
    window: Any = item.get("window") or item.get("windowSeconds") or 0
    seconds = Duration.parse(window).seconds if isinstance(window, str) else float(window)
    return PodMetric(value, parse_time(item["timestamp"]), timedelta(seconds=seconds))
