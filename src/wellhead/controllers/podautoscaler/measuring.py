"""What each kind of metric asks for: fetched, and made a number of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.api.selectors import LabelSelector
from wellhead.api.types.pod import Pod
from wellhead.client.rest import ConnectionLost
from wellhead.controllers.podautoscaler.proposal import (
    Incalculable,
    Proposal,
    Tolerance,
    by_average,
    by_share,
    by_utilization,
    by_value,
)
from wellhead.controllers.podautoscaler.scales import Scales
from wellhead.controllers.podautoscaler.sources import Sources


@dataclass(frozen=True)
class Measuring:
    """One look at the metrics of one autoscaler's target."""

    sources: Sources
    scales: Scales
    spec: Obj
    namespace: str
    selector: LabelSelector
    pods: Sequence[Pod]
    current: int
    """Replicas that are wanted now."""
    replicas: int
    """Replicas that there are."""
    now: datetime

    async def proposal(self, metric: Obj) -> tuple[int, str, Obj]:
        """(replicas, the metric's name, its entry in the status). Raises Incalculable."""
        kind = metric["type"]
        if kind in ("Resource", "ContainerResource"):
            return await self._of_resource(metric)
        if kind == "Pods":
            return await self._of_pods(metric["pods"])
        return await self._of_other(metric)

    async def _of_resource(self, metric: Obj) -> tuple[int, str, Obj]:
        field = "resource" if metric["type"] == "Resource" else "containerResource"
        source = metric[field]
        name, target, container = source["name"], source["target"], source.get("container", "")
        namespace = self.namespace
        tolerance = self._tolerance()
        by_amount = "averageValue" in target
        try:
            values = await self.sources.of_resource(namespace, self.selector, name, container)
        except Incalculable as error:
            what = "usage" if by_amount else "utilization"
            text = f"failed to get {name} {what}: unable to get metrics for resource {name}: {error}"
            raise Incalculable(text) from error
        try:
            if by_amount:
                amount = Quantity.parse(target["averageValue"]).milli_value
                proposal = by_average(self.pods, values, amount, name, self.current, tolerance, self.now)
                said = f"{name} resource"
            else:
                share = target["averageUtilization"]
                proposal = by_utilization(
                    self.pods, values, share, name, container, self.current, tolerance, self.now
                )
                of = "container resource" if container else "resource"
                said = f"{name} {of} utilization (percentage of request)"
        except Incalculable as error:
            raise Incalculable(
                f"failed to get {name} {'usage' if by_amount else 'utilization'}: {error}"
            ) from (error)
        average = Quantity(proposal.average * 10**6, "binary" if name == "memory" else "decimal")
        current: Obj = {"averageValue": str(average)}
        if proposal.utilization is not None:
            current["averageUtilization"] = proposal.utilization
        entry = {"name": name, "current": current} | ({"container": container} if container else {})
        return proposal.replicas, said, {"type": metric["type"], field: entry}

    async def _of_pods(self, source: Obj) -> tuple[int, str, Obj]:
        metric, namespace = source["metric"], self.namespace
        try:
            values = await self.sources.of_pods(namespace, self.selector, metric)
        except Incalculable as error:
            raise Incalculable(f"unable to get metric {metric['name']}: {error}") from error
        amount = Quantity.parse(source["target"]["averageValue"]).milli_value
        proposal = by_average(self.pods, values, amount, "", self.current, self._tolerance(), self.now)
        current = {"averageValue": str(Quantity(proposal.average * 10**6))}
        entry = {"type": "Pods", "pods": {"metric": metric, "current": current}}
        return proposal.replicas, f"pods metric {metric['name']}", entry

    async def _of_other(self, metric: Obj) -> tuple[int, str, Obj]:
        """An object's metric, or an external one."""
        field = metric["type"].lower()
        source = metric[field]
        identity, target = source["metric"], source["target"]
        used = await (self._of_object(source) if field == "object" else self._external(identity, target))
        entry: Obj = {"metric": identity}
        if field == "object":
            entry["describedObject"] = source["describedObject"]
        proposal: Proposal
        if "averageValue" in target and (field == "external" or target["type"] == "AverageValue"):
            amount = Quantity.parse(target["averageValue"]).milli_value
            proposal, of = by_share(used, amount, self.replicas, self._tolerance()), "averageValue"
        else:
            amount = Quantity.parse(target["value"]).milli_value
            proposal, of = by_value(self.pods, used, amount, self.current, self._tolerance()), "value"
        entry["current"] = {of: str(Quantity(proposal.average * 10**6))}
        name = f"external metric {identity['name']}({_written(identity.get('selector'))})"
        if field == "object" and of == "value":
            name = f"{source['describedObject']['kind']} metric {identity['name']}"
        return proposal.replicas, name, {"type": metric["type"], field: entry}

    async def _of_object(self, source: Obj) -> int:
        described, metric, namespace = source["describedObject"], source["metric"], self.namespace
        try:
            resource = await self.scales.resource(described.get("apiVersion") or "v1", described["kind"])
            return await self.sources.of_object(namespace, resource.group_resource, described["name"], metric)
        except (ApiError, ConnectionLost, Incalculable) as error:
            where = f"{described['kind']} {namespace}/{described['name']}"
            raise Incalculable(f"unable to get metric {metric['name']}: {error} on {where}") from error

    async def _external(self, metric: Obj, target: Obj) -> int:
        name, namespace = metric["name"], self.namespace
        try:
            return await self.sources.external(namespace, metric)
        except Incalculable as error:
            of = f"{name} external metric" if "averageValue" in target else f"external metric {name}"
            where = f"{namespace}/{name}/{_written(metric.get('selector'))}"
            text = f"failed to get {of}: unable to get external metric {where}: {error}"
            raise Incalculable(text) from error

    def _tolerance(self) -> Tolerance:
        behavior = self.spec.get("behavior") or {}

        def of(direction: str) -> float:
            text = (behavior.get(direction) or {}).get("tolerance")
            return 0.1 if text is None else Quantity.parse(text).nanos / 1e9

        return Tolerance(down=of("scaleDown"), up=of("scaleUp"))


def described(metric: Obj) -> str:
    """What can't be had, if the metric can't."""
    kind = metric["type"]
    source = metric.get(kind[:1].lower() + kind[1:]) or {}
    if kind == "Resource":
        return f"{source.get('name')} resource metric value"
    if kind == "ContainerResource":
        return f"{source.get('container')} container metric value"
    if kind == "External":
        return f"{(source.get('metric') or {}).get('name')} external metric value"
    return f"{kind.lower()} metric value"


def _written(selector: Obj | None) -> str:
    """A selector as Go prints one."""
    if selector is None:
        return "nil"
    labels = "".join(
        f"{name}: {value}," for name, value in sorted((selector.get("matchLabels") or {}).items())
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        "MatchExpressions:[]LabelSelectorRequirement{},}"
    )
