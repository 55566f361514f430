"""Every kind that is served. One without rules and columns of its own is a row of `catalogue`.

One with rules has a file in `kinds/`, and is named here: in KINDS, in any place, and by a constant.
"""

from __future__ import annotations

from wellhead.api import catalogue
from wellhead.api.kind import Kind
from wellhead.api.kinds import (
    admission_policies,
    apiservice,
    binding,
    componentstatus,
    configmap,
    controllerrevision,
    cronjob,
    csr,
    customresourcedefinition,
    daemonset,
    deployment,
    devices,
    endpoints,
    endpointslice,
    event,
    flowcontrol,
    horizontalpodautoscaler,
    ingress,
    ingressclass,
    ipaddress,
    job,
    lease,
    limitrange,
    namespace,
    networkpolicy,
    node,
    pod,
    poddisruptionbudget,
    podtemplate,
    priorityclass,
    rbac,
    replicaset,
    replicationcontroller,
    resourcequota,
    reviews,
    runtimeclass,
    secret,
    service,
    serviceaccount,
    servicecidr,
    statefulset,
    storage,
    storageversionmigration,
    usage,
    webhooks,
)
from wellhead.api.kinds.admission_policies import MUTATING_BINDINGS as MUTATING_BINDINGS
from wellhead.api.kinds.admission_policies import MUTATING_POLICIES as MUTATING_POLICIES
from wellhead.api.kinds.admission_policies import VALIDATING_BINDINGS as VALIDATING_BINDINGS
from wellhead.api.kinds.admission_policies import VALIDATING_POLICIES as VALIDATING_POLICIES
from wellhead.api.kinds.binding import BINDINGS as BINDINGS
from wellhead.api.kinds.componentstatus import COMPONENTSTATUSES as COMPONENTSTATUSES
from wellhead.api.kinds.controllerrevision import CONTROLLERREVISIONS as CONTROLLERREVISIONS
from wellhead.api.kinds.cronjob.resource import CRONJOBS as CRONJOBS
from wellhead.api.kinds.csr import CERTIFICATESIGNINGREQUESTS as CERTIFICATESIGNINGREQUESTS
from wellhead.api.kinds.customresourcedefinition import (
    CUSTOMRESOURCEDEFINITIONS as CUSTOMRESOURCEDEFINITIONS,
)
from wellhead.api.kinds.daemonset import DAEMONSETS as DAEMONSETS
from wellhead.api.kinds.deployment import DEPLOYMENTS as DEPLOYMENTS
from wellhead.api.kinds.endpoints import ENDPOINTS as ENDPOINTS
from wellhead.api.kinds.event import EVENTS_V1 as EVENTS_V1
from wellhead.api.kinds.flowcontrol import FLOWSCHEMAS as FLOWSCHEMAS
from wellhead.api.kinds.flowcontrol import PRIORITYLEVELS as PRIORITYLEVELS
from wellhead.api.kinds.horizontalpodautoscaler.resource import (
    HORIZONTALPODAUTOSCALERS as HORIZONTALPODAUTOSCALERS,
)
from wellhead.api.kinds.horizontalpodautoscaler.resource import (
    HORIZONTALPODAUTOSCALERS_V1 as HORIZONTALPODAUTOSCALERS_V1,
)
from wellhead.api.kinds.ingress import INGRESSES as INGRESSES
from wellhead.api.kinds.ingressclass import INGRESSCLASSES as INGRESSCLASSES
from wellhead.api.kinds.ipaddress import IPADDRESSES as IPADDRESSES
from wellhead.api.kinds.job.resource import JOBS as JOBS
from wellhead.api.kinds.limitrange import LIMITRANGES as LIMITRANGES
from wellhead.api.kinds.networkpolicy import NETWORKPOLICIES as NETWORKPOLICIES
from wellhead.api.kinds.poddisruptionbudget import PODDISRUPTIONBUDGETS as PODDISRUPTIONBUDGETS
from wellhead.api.kinds.podtemplate import PODTEMPLATES as PODTEMPLATES
from wellhead.api.kinds.priorityclass import PRIORITYCLASSES as PRIORITYCLASSES
from wellhead.api.kinds.rbac import CLUSTERROLEBINDINGS as CLUSTERROLEBINDINGS
from wellhead.api.kinds.rbac import CLUSTERROLES as CLUSTERROLES
from wellhead.api.kinds.rbac import ROLEBINDINGS as ROLEBINDINGS
from wellhead.api.kinds.rbac import ROLES as ROLES
from wellhead.api.kinds.replicaset import REPLICASETS as REPLICASETS
from wellhead.api.kinds.replicationcontroller import REPLICATIONCONTROLLERS as REPLICATIONCONTROLLERS
from wellhead.api.kinds.resourcequota import RESOURCEQUOTAS as RESOURCEQUOTAS
from wellhead.api.kinds.reviews import LOCALSUBJECTACCESSREVIEWS as LOCALSUBJECTACCESSREVIEWS
from wellhead.api.kinds.reviews import SELFSUBJECTACCESSREVIEWS as SELFSUBJECTACCESSREVIEWS
from wellhead.api.kinds.reviews import SELFSUBJECTREVIEWS as SELFSUBJECTREVIEWS
from wellhead.api.kinds.reviews import SELFSUBJECTRULESREVIEWS as SELFSUBJECTRULESREVIEWS
from wellhead.api.kinds.reviews import SUBJECTACCESSREVIEWS as SUBJECTACCESSREVIEWS
from wellhead.api.kinds.reviews import TOKENREVIEWS as TOKENREVIEWS
from wellhead.api.kinds.runtimeclass import RUNTIMECLASSES as RUNTIMECLASSES
from wellhead.api.kinds.secret import SECRETS as SECRETS
from wellhead.api.kinds.statefulset import STATEFULSETS as STATEFULSETS
from wellhead.api.kinds.storage import csi
from wellhead.api.kinds.storage.claims import PERSISTENTVOLUMECLAIMS as PERSISTENTVOLUMECLAIMS
from wellhead.api.kinds.storage.classes import STORAGECLASSES as STORAGECLASSES
from wellhead.api.kinds.storage.volumes import PERSISTENTVOLUMES as PERSISTENTVOLUMES
from wellhead.api.resource import Resource
from wellhead.api.well_known import CONFIGMAPS as CONFIGMAPS
from wellhead.api.well_known import ENDPOINTSLICES as ENDPOINTSLICES
from wellhead.api.well_known import EVENTS as EVENTS
from wellhead.api.well_known import LEASES as LEASES
from wellhead.api.well_known import NAMESPACES as NAMESPACES
from wellhead.api.well_known import NODES as NODES
from wellhead.api.well_known import PODS as PODS
from wellhead.api.well_known import SERVICEACCOUNTS as SERVICEACCOUNTS
from wellhead.api.well_known import SERVICECIDRS as SERVICECIDRS
from wellhead.api.well_known import SERVICES as SERVICES

KINDS: tuple[Kind, ...] = (
    *catalogue.KINDS,
    binding.KIND,
    componentstatus.KIND,
    limitrange.KIND,
    ingress.KIND,
    ingressclass.KIND,
    networkpolicy.KIND,
    podtemplate.KIND,
    *csi.KINDS,
    *devices.KINDS,
    *flowcontrol.KINDS,
    resourcequota.KIND,
    runtimeclass.KIND,
    apiservice.KIND,
    configmap.KIND,
    customresourcedefinition.KIND,
    endpoints.KIND,
    event.KINDS[0],
    namespace.KIND,
    node.KIND,
    pod.KIND,
    replicationcontroller.KIND,
    secret.KIND,
    serviceaccount.KIND,
    service.KIND,
    controllerrevision.KIND,
    daemonset.KIND,
    deployment.KIND,
    replicaset.KIND,
    statefulset.KIND,
    poddisruptionbudget.KIND,
    *reviews.KINDS,
    *horizontalpodautoscaler.KINDS,
    priorityclass.KIND,
    cronjob.KIND,
    job.KIND,
    *rbac.KINDS,
    csr.KIND,
    *webhooks.KINDS,
    *admission_policies.KINDS,
    lease.KIND,
    endpointslice.KIND,
    event.KINDS[1],
    servicecidr.KIND,
    ipaddress.KIND,
    *usage.KINDS,
    *storage.KINDS,
    storageversionmigration.KIND,
)


def _place(resource: Resource) -> tuple[int, str]:
    known = catalogue.GROUPS.index(resource.group) if resource.group in catalogue.GROUPS else len(KINDS)
    return known, resource.plural


RESOURCES: tuple[Resource, ...] = tuple(sorted((kind.resource for kind in KINDS), key=_place))
"""In the order of discovery: group by group, and in a group by name."""

_KINDS = {kind.resource: kind for kind in KINDS}
_BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_KIND = {(r.api_version, r.kind): r for r in RESOURCES}


def kind_of(resource: Resource) -> Kind:
    """What is known of a resource's kind: its rules and its columns."""
    return resource.custom or _KINDS[resource]


def lookup(group: str, version: str, plural: str) -> Resource | None:
    """The resource that a URL names, if it is served. The core group is ''."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource whose objects carry this apiVersion and kind, if it is served."""
    return _BY_KIND.get((api_version, kind))
