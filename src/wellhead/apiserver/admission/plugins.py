"""All plugins, in upstream's order (pkg/kubeapiserver/options/plugins.go), and which of them count."""

from __future__ import annotations

from collections.abc import Collection

from wellhead.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateRequester,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from wellhead.apiserver.admission.chain import Admission
from wellhead.apiserver.admission.claim_status import ClaimStatusAuthorization
from wellhead.apiserver.admission.default_ingress_class import DefaultIngressClass
from wellhead.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from wellhead.apiserver.admission.deny_service_external_ips import DenyServiceExternalIPs
from wellhead.apiserver.admission.device_admin_access import DeviceAdminAccess
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.event_rate_limit import EventRateLimit
from wellhead.apiserver.admission.limit_ranger import LimitRanger
from wellhead.apiserver.admission.mutating_policy import MutatingAdmissionPolicy
from wellhead.apiserver.admission.mutating_webhook import MutatingAdmissionWebhook
from wellhead.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from wellhead.apiserver.admission.nodes import NodeRestrictionPlugin, ProxyRestriction, StorageRestriction
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.pod_resize import PodResizeValidator
from wellhead.apiserver.admission.pod_security import PodSecurity
from wellhead.apiserver.admission.policy_parameters import PolicyParameters
from wellhead.apiserver.admission.priority import Priority
from wellhead.apiserver.admission.resource_quota import ResourceQuota
from wellhead.apiserver.admission.role_escalation import RoleEscalation
from wellhead.apiserver.admission.runtime_class import RuntimeClass
from wellhead.apiserver.admission.service_account import ServiceAccount
from wellhead.apiserver.admission.status_restriction import StatusRestriction
from wellhead.apiserver.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from wellhead.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from wellhead.apiserver.admission.validating_policy import ValidatingAdmissionPolicy
from wellhead.apiserver.admission.validating_webhook import ValidatingAdmissionWebhook

ORDERED: tuple[type[Plugin], ...] = (
    NamespaceLifecycle,
    LimitRanger,
    ServiceAccount,
    NodeRestrictionPlugin,
    ProxyRestriction,
    StorageRestriction,
    TaintNodesByCondition,
    PodSecurity,
    Priority,
    DefaultTolerationSeconds,
    DefaultStorageClass,
    StorageObjectInUseProtection,
    PersistentVolumeClaimResize,
    RuntimeClass,
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    DefaultIngressClass,
    DenyServiceExternalIPs,
    EventRateLimit,
    PodResizeValidator,
    MutatingAdmissionPolicy,
    MutatingAdmissionWebhook,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionWebhook,
    # After them, what counts what is there.
    ResourceQuota,
    RoleEscalation,
    CertificateRequester,
    PolicyParameters,
    StatusRestriction,
    DeviceAdminAccess,
    ClaimStatusAuthorization,
)
OFF = frozenset({"DenyServiceExternalIPs", "EventRateLimit"})
"""Those that count only if they are turned on."""
_ALWAYS = frozenset(
    {
        "CertificateRequester",
        "ClaimStatusAuthorization",
        "DeviceAdminAccess",
        "PolicyParameters",
        "ProxyRestriction",
        "RoleEscalation",
        "StatusRestriction",
        "StorageRestriction",
    }
)
"""Those that are no plugins upstream: there is no turning them off."""
NAMES = tuple(sorted({each.name for each in ORDERED} - _ALWAYS))


def admission(
    environment: Environment, enabled: Collection[str] = (), disabled: Collection[str] = ()
) -> Admission:
    """The plugins that count by default or by name, and aren't turned off by name.

    Raises ConfigurationError.
    """
    counting = (
        each
        for each in ORDERED
        if each.name not in disabled and (each.name not in OFF or each.name in enabled)
    )
    return Admission([each(environment) for each in counting])
