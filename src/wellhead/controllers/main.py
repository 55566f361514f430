"""Runs all controllers on one set of informers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wellhead.api.resource import Resource
from wellhead.api.resources import REPLICASETS, REPLICATIONCONTROLLERS, RESOURCES
from wellhead.client.collector import settle
from wellhead.client.connection import load
from wellhead.client.events import EventRecorder
from wellhead.client.leases import LeaseSettings
from wellhead.client.replica import Replica
from wellhead.client.rest import Client
from wellhead.controllers.bootstrap_tokens import TokenCleaner
from wellhead.controllers.certificates.controllers import (
    CSRApprovingController,
    CSRCleanerController,
    CSRSigningController,
)
from wellhead.controllers.certificates.signing import Authority
from wellhead.controllers.clusterrole_aggregation import ClusterRoleAggregationController
from wellhead.controllers.cronjob.controller import CronJobController
from wellhead.controllers.custom import CustomObjects
from wellhead.controllers.daemonset.controller import DaemonSetController
from wellhead.controllers.deployment.controller import DeploymentController
from wellhead.controllers.disruption.controller import DisruptionController
from wellhead.controllers.endpoints.controller import EndpointsController
from wellhead.controllers.endpointslice.controller import EndpointSliceController
from wellhead.controllers.endpointslice.mirroring import EndpointSliceMirroringController
from wellhead.controllers.garbage.controller import GarbageCollector
from wellhead.controllers.indexes import INDEXES
from wellhead.controllers.isolation import Clocked, Controller, Isolated
from wellhead.controllers.job.controller import JobController
from wellhead.controllers.job.expiry import JobExpiryController
from wellhead.controllers.namespace import NamespaceController
from wellhead.controllers.node.eviction import TaintEvictionController
from wellhead.controllers.node.lifecycle import NodeLifecycleController
from wellhead.controllers.podautoscaler.controller import HorizontalPodAutoscalerController
from wellhead.controllers.podgc import PodGarbageCollector
from wellhead.controllers.replicaset.controller import ReplicasController
from wellhead.controllers.resourcequota.controller import ResourceQuotaController
from wellhead.controllers.serviceaccount import DefaultServiceAccountController, RootCaController
from wellhead.controllers.servicecidr.controller import GRACE_SECONDS, ServiceCIDRController
from wellhead.controllers.statefulset.controller import StatefulSetController
from wellhead.controllers.storage.binder import PersistentVolumeBinder
from wellhead.controllers.storage.ephemeral import EphemeralVolumeController
from wellhead.controllers.storage.protection import ClaimProtectionController, VolumeProtectionController
from wellhead.controllers.store import Stores
from wellhead.health import Check, Health
from wellhead.health_server import Address, serving
from wellhead.linux.clock import hearing_of_settings


@dataclass(frozen=True)
class Config:
    """How to run the controllers.

    `kubeconfig` is a path (None: as kubectl finds it), `root_ca` the CA's certificates in PEM (None: they are
    not published), `node_monitor_grace_period` the seconds after which a node that says nothing is unknown.
    `health` is where health is told, by plain HTTP; None: nowhere.
    """

    kubeconfig: str | None
    root_ca: str | None = None
    node_monitor_grace_period: float = 40.0
    health: Address | None = None
    servicecidr_grace_period: float = GRACE_SECONDS
    """How long API servers may take to hear that a range is not to be used any more."""
    lease: LeaseSettings | None = None
    """By which several processes agree on who works; None: this is the only one."""
    signing: Authority | None = None
    """Who signs certificates that were approved; None: nobody does."""


WATCHED: tuple[Resource, ...] = tuple(
    resource
    for resource in RESOURCES
    if {"list", "watch"} <= set(resource.verbs) and resource.kind != "Event" and not resource.stored_as
)
"""Everything that can own or be owned, and each stored kind once. Events do neither."""


class Recorders:
    """One event recorder a controller, named after it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.all: list[EventRecorder] = []

    def __call__(self, component: str) -> EventRecorder:
        recorder = EventRecorder(self._client, component)
        self.all.append(recorder)
        return recorder


def controllers(client: Client, stores: Stores, recorder: Recorders, config: Config) -> list[Controller]:
    """All controllers, on shared stores."""
    custom = CustomObjects(client, stores)
    found: list[Controller] = [
        custom,
        DeploymentController(stores, recorder("deployment-controller")),
        JobController(client, stores, recorder("job-controller")),
        JobExpiryController(stores),
        ReplicasController(stores, recorder("replicaset-controller"), REPLICASETS),
        ReplicasController(stores, recorder("replication-controller"), REPLICATIONCONTROLLERS),
        DaemonSetController(stores, recorder("daemonset-controller")),
        CronJobController(stores, recorder("cronjob-controller")),
        HorizontalPodAutoscalerController(client, stores, recorder("horizontal-pod-autoscaler")),
        StatefulSetController(stores, recorder("statefulset-controller")),
        DisruptionController(client, stores, recorder("controllermanager")),
        EndpointSliceController(stores, recorder("endpoint-slice-controller")),
        EndpointSliceMirroringController(stores),
        EndpointsController(stores, recorder("endpoint-controller")),
        GarbageCollector(client, stores, custom),
        NamespaceController(client, stores, custom),
        DefaultServiceAccountController(stores),
        NodeLifecycleController(stores, recorder("node-controller"), config.node_monitor_grace_period),
        TaintEvictionController(stores, recorder("taint-eviction-controller")),
        PodGarbageCollector(stores),
        ServiceCIDRController(stores, config.servicecidr_grace_period),
        ResourceQuotaController(stores, custom),
        ClusterRoleAggregationController(stores),
        PersistentVolumeBinder(stores, recorder("persistentvolume-controller")),
        ClaimProtectionController(stores),
        VolumeProtectionController(stores),
        EphemeralVolumeController(stores, recorder("ephemeral_volume")),
    ]
    found.append(TokenCleaner(stores))
    found += [CSRApprovingController(client, stores), CSRCleanerController(stores)]
    if config.signing is not None:
        found.append(CSRSigningController(stores, config.signing))
    if config.root_ca is not None:
        found.append(RootCaController(stores, config.root_ca))
    return found


class ControllerManager:
    """All controllers on one client."""

    def __init__(self, client: Client, config: Config, synced: Callable[[], None]) -> None:
        """`synced` is called once everything is there."""
        self._synced = synced
        self._stores = Stores(client, WATCHED, INDEXES)
        self._recorders = Recorders(client)
        found = controllers(client, self._stores, self._recorders, config)
        self._controllers = [Isolated(each) for each in found]
        self._clocked = [each for each in found if isinstance(each, Clocked)]

    def checks(self) -> Iterator[Check]:
        """That its watches live, and each controller gets on."""
        yield self._stores.check()
        for controller in self._controllers:
            yield from controller.checks()

    async def run(self) -> None:
        """Until cancelled."""
        with hearing_of_settings(self._clock_was_set):
            await self._run()

    def _clock_was_set(self) -> None:
        for controller in self._clocked:
            controller.clock_was_set()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for recorder in self._recorders.all:
                group.create_task(recorder.run())
            for controller in self._controllers:
                group.create_task(controller.run())
            group.create_task(self._stores.run())
            await self._stores.synced()
            self._synced()


async def run(config: Config) -> None:
    """Run all controllers until cancelled.

    Raises:
        KubeconfigError: there is no way to find the API server.
        OSError: `config.health` can't be listened on.
        Stuck: only a new process helps.
    """
    async with Client(load(config.kubeconfig), "wellhead-controller-manager") as client:
        # Hardly any of what is there then ever goes: to look at it again and again was a seventh of the work.
        await serve(client, config, synced=settle)


async def serve(client: Client, config: Config, *, synced: Callable[[], None] = lambda: None) -> None:
    """Run all controllers on this client until cancelled. `synced` is called once they know everything."""
    replica = Replica(client, config.lease, lambda: ControllerManager(client, config, synced))
    async with serving(Health(replica.checks), config.health):
        await replica.run()
