"""Labels, annotations, taints and finalizers that several rooms know: each is written here alone.

Source: "Well-Known Labels, Annotations and Taints". What one room alone knows is written there.
"""

from __future__ import annotations

# Of nodes
HOSTNAME_LABEL = "kubernetes.io/hostname"
OS_LABEL = "kubernetes.io/os"
ARCH_LABEL = "kubernetes.io/arch"
BETA_OS_LABEL = "beta.kubernetes.io/os"
BETA_ARCH_LABEL = "beta.kubernetes.io/arch"
ZONE_LABEL = "topology.kubernetes.io/zone"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
NOT_READY_TAINT = "node.kubernetes.io/not-ready"
UNREACHABLE_TAINT = "node.kubernetes.io/unreachable"
UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE_TAINT = "node.kubernetes.io/memory-pressure"

# Of Services and their endpoints
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
SLICE_MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
ENDPOINTS_MANAGER_LABEL = "endpoints.kubernetes.io/managed-by"
SKIP_MIRROR_LABEL = "endpointslice.kubernetes.io/skip-mirror"
TRIGGER_TIME_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"
TOPOLOGY_MODE_ANNOTATION = "service.kubernetes.io/topology-mode"
SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
"""The forerunner of a Service's field, which load balancers heed and nodes don't."""
INGRESS_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""How an Ingress named its class before it had a field for it."""
DEFAULT_INGRESS_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"

# Of pods, volumes and secrets
DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
SECCOMP_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
"""Where a claim named its class before there was a field; it still counts, and before the field."""
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
OLD_DOCKER_CONFIG = "kubernetes.io/dockercfg"

# Our own
FORWARDER_CLASS = "wellhead.dev/forwarder"
"""A packet forwarder: nodes get the client's packets as they are. What a Service without a class gets."""
PROXY_CLASS = "wellhead.dev/proxy"
"""A proxy that ends the client's connection and makes its own to a node."""
CLIENT_IP_ANNOTATION = "wellhead.dev/client-ip"
PRESERVE_CLIENT_IP_ANNOTATION = "wellhead.dev/preserve-client-ip"
SYMMETRIC_RETURN_ANNOTATION = "wellhead.dev/symmetric-return"
"""Where a node's proxy announces that the node returns symmetrically."""
LOCAL_PATH = "wellhead.dev/local-path"
"""The provisioner that each node has, and its finalizer: directories of its own."""
