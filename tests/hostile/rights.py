"""Who may do what, as data: what upstream's rules (v1.36) say for the resources that are served here.

A line names resources, perhaps `own:` (only what belongs to the node that asks), and verbs. What upstream
allows beyond that and is refused here is in NARROWER, the opposite in WIDER, each with its reason.
"""

from __future__ import annotations

_EVERYBODY = """
selfsubjectreviews.authentication.k8s.io        create
selfsubjectaccessreviews.authorization.k8s.io   create
selfsubjectrulesreviews.authorization.k8s.io    create
"""
_REVIEWS = """
tokenreviews.authentication.k8s.io          create
subjectaccessreviews.authorization.k8s.io   create
"""
_EVENTS = """
events events.events.k8s.io   create update patch
"""

UPSTREAM: dict[str, str] = {
    # Nobody's rules are about them.
    "nobody": _EVERYBODY,
    "pod": _EVERYBODY,
    "name-only": _EVERYBODY,
    "group-only": _EVERYBODY,
    "nameless-node": _EVERYBODY,
    # plugin/pkg/auth/authorizer/node, bootstrappolicy.NodeRules, admission plugin NodeRestriction
    "node-1": f"""
        services                     get list watch
        endpoints                    get
        nodes                        own: get list watch create update patch
        nodes/status                 own: update patch
        pods                         own: get list watch delete
        pods/status                  own: update patch
        pods/eviction                own: create
        configmaps secrets           own: get list watch
        serviceaccounts              own: get
        serviceaccounts/token        own: create
        leases.coordination.k8s.io   own: get create update patch delete
        events                       create update patch
        runtimeclasses.node.k8s.io   get list watch
        {_EVERYBODY} {_REVIEWS}
    """,
    # bootstrappolicy: system:kube-scheduler
    "kube-scheduler": f"""
        nodes namespaces services    get list watch
        pods                         get list watch delete
        bindings pods/binding        create
        persistentvolumes                            get list watch update
        persistentvolumeclaims                       get list watch patch
        storageclasses.storage.k8s.io                get list watch
        pods/status                  update patch
        replicasets.apps statefulsets.apps poddisruptionbudgets.policy      get list watch
        leases.coordination.k8s.io   create
        {_EVERYBODY} {_REVIEWS} {_EVENTS}
    """,
    # bootstrappolicy: system:node-proxier
    "kube-proxy": f"""
        services endpoints                  list watch
        nodes                               get list watch
        endpointslices.discovery.k8s.io     list watch
        servicecidrs.networking.k8s.io      list watch
        {_EVERYBODY} {_EVENTS}
    """,
    # The union of the controllers' roles: the garbage collector's and the namespace controller's say "*".
    "kube-controller-manager": f"""
        *                     get list watch patch update delete deletecollection
        pods replicasets.apps endpoints endpointslices.discovery.k8s.io configmaps      create
        serviceaccounts secrets serviceaccounts/token leases.coordination.k8s.io        create
        {_EVERYBODY} {_REVIEWS} {_EVENTS}
    """,
    # A CNI plugin's and a cloud controller's rights are their own matter; these are all that ours have.
    "node-network": f"nodes list watch {_EVERYBODY}",
    "cloud-controller-manager": f"""
        nodes services                      list watch
        services                            patch
        services/status                     patch
        endpointslices.discovery.k8s.io     list watch
        events                              create patch
        {_EVERYBODY}
    """,
}

_OURS_WRITES = (
    ("events update", "an event that is there already is patched"),
    ("events.events.k8s.io create update patch", "events are written as core/v1"),
)

NARROWER: dict[str, tuple[tuple[str, str], ...]] = {
    "node-1": (("endpoints get", "it was for GlusterFS volumes, which are gone"),),
    "kube-scheduler": (
        ("leases.coordination.k8s.io create", "in kube-system only, which test_roles looks at"),
        *_OURS_WRITES,
    ),
    "kube-controller-manager": (
        ("* deletecollection", "ours deletes one by one"),
        ("*/* get patch update delete", "a subresource is another right: pods/exec by GET runs commands"),
        ("* update", "only of kinds that a controller writes"),
        ("secrets serviceaccounts/token create", "there are no controllers with accounts of their own"),
        ("nodes.metrics.k8s.io get list pods.metrics.k8s.io get", "only what autoscaling needs"),
        ("componentstatuses get list", "nothing is stored of it"),
        ("leases.coordination.k8s.io create", "in kube-system only"),
        *_OURS_WRITES,
    ),
}

WIDER: dict[str, tuple[tuple[str, str], ...]] = {
    "kube-proxy": (("nodes own: patch", "the announcement of the symmetric return, on its own Node"),),
    "kube-controller-manager": (
        ("namespaces/finalize namespaces/status nodes/status update", "what `*/*` takes away, back"),
        ("pods/status servicecidrs.networking.k8s.io/status patch", "the same"),
        ("deployments.apps/status replicasets.apps/status update", "the same"),
        ("nodes pods endpoints configmaps serviceaccounts update", "what a controller writes"),
        ("deployments.apps replicasets.apps endpointslices.discovery.k8s.io update", "the same"),
        ("servicecidrs.networking.k8s.io update", "the same"),
        ("replicationcontrollers persistentvolumes persistentvolumeclaims update", "the same"),
        ("controllerrevisions.apps update", "the same"),
        (
            "statefulsets.apps/status daemonsets.apps/status jobs.batch/status cronjobs.batch/status"
            " replicationcontrollers/status poddisruptionbudgets.policy/status resourcequotas/status"
            " horizontalpodautoscalers.autoscaling/status persistentvolumes/status"
            " persistentvolumeclaims/status update",
            "what `*/*` takes away, back",
        ),
        (
            "deployments.apps/scale replicasets.apps/scale statefulsets.apps/scale"
            " replicationcontrollers/scale get patch",
            "autoscaling",
        ),
        ("persistentvolumeclaims jobs.batch controllerrevisions.apps create", "what a controller makes"),
        (
            "certificatesigningrequests.certificates.k8s.io/approval"
            " certificatesigningrequests.certificates.k8s.io/status update",
            "the same",
        ),
    ),
}

Right = tuple[str, str, bool]
"""Resource ("pods/status"), verb, and whether it is about the own objects only."""

_VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"})


def parse(text: str) -> set[Right]:
    """The rights that lines of resources and verbs name."""
    found: set[Right] = set()
    resources: list[str] = []
    own = closed = False
    for word in text.split():
        if word == "own:":
            own = True
        elif word in _VERBS:
            closed = True
            found |= {(resource, word, own) for resource in resources}
        else:
            if closed:
                resources, own, closed = [], False, False
            resources.append(word)
    return found


def expected(identity: str, resource: str, verb: str, *, own: bool) -> bool:
    """Whether the identity may do that here, to an object of its own or to another one."""
    narrower, wider = (
        parse(" ".join(rule for rule, _ in each.get(identity, ()))) for each in (NARROWER, WIDER)
    )
    if _covers(wider, resource, verb, own):
        return True
    return _covers(parse(UPSTREAM[identity]), resource, verb, own) and not _covers(
        narrower, resource, verb, own
    )


def _covers(rights: set[Right], resource: str, verb: str, own: bool) -> bool:
    names = {resource, "*/*"} if "/" in resource else {resource, "*"}
    if any(each == "*" for each, _, _ in rights) and "/" in resource:
        names.add("*")  # upstream's "*" is about subresources, too
    return any(each in names and v == verb and (own or not only_own) for each, v, only_own in rights)
