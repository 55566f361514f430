"""What is wrong with a volume that is kept elsewhere: of pods, and of PersistentVolumes."""

from __future__ import annotations

import pytest

from tests.unit.api.objects import create, named, problems
from wellhead.api.errors import Invalid
from wellhead.api.kinds.storage.volumes import PERSISTENTVOLUMES, SOURCES
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import PODS

IQN = {"targetPortal": "1.2.3.4:3260", "iqn": "iqn.2001-04.com.example:storage", "lun": 0}
SECRET = {"name": "s"}


def _of_pod(*sources: Obj) -> Obj:
    volumes = [{"name": f"v{index}", **source} for index, source in enumerate(sources)]
    return named("p", spec={"containers": [{"name": "c", "image": "i"}], "volumes": volumes})


def _persistent(source: Obj) -> Obj:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **source}
    return named("v0", spec=spec)


def _refused(resource: Resource, obj: Obj) -> list[str]:
    try:
        create(resource, obj)
    except Invalid as refused:
        return problems(refused)
    return []


OF_EITHER = [
    ({"gcePersistentDisk": {}}, "persistentDisk.pdName: Required value"),
    (
        {"gcePersistentDisk": {"pdName": "d", "partition": 256}},
        "persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive",
    ),
    ({"awsElasticBlockStore": {}}, "awsElasticBlockStore.volumeID: Required value"),
    ({"nfs": {"server": "s"}}, 'nfs.path: Invalid value: "": must be an absolute path'),
    ({"nfs": {"path": "/"}}, "nfs.server: Required value"),
    ({"iscsi": {**IQN, "targetPortal": ""}}, "iscsi.targetPortal: Required value"),
    ({"iscsi": {**IQN, "iqn": "iqn.x"}}, 'iscsi.iqn: Invalid value: "iqn.x": must be valid format'),
    ({"iscsi": {**IQN, "lun": 256}}, "iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive"),
    ({"iscsi": {**IQN, "chapAuthSession": True}}, "iscsi.secretRef: Required value"),
    (
        {"iscsi": {**IQN, "initiatorName": "eui.1"}},
        'iscsi.initiatorname: Invalid value: "eui.1": must be valid format',
    ),
    ({"glusterfs": {"endpoints": "e"}}, "glusterfs.path: Required value"),
    ({"flocker": {}}, "flocker: Required value: one of datasetName and datasetUUID is required"),
    (
        {"flocker": {"datasetName": "a", "datasetUUID": "b"}},
        'flocker: Invalid value: "resource": datasetName and datasetUUID can not be specified simultaneously',
    ),
    (
        {"flocker": {"datasetName": "a/b"}},
        "flocker.datasetName: Invalid value: \"a/b\": must not contain '/'",
    ),
    ({"rbd": {"image": "i"}}, "rbd.monitors: Required value"),
    ({"cinder": {}}, "cinder.volumeID: Required value"),
    ({"cinder": {"volumeID": "v", "secretRef": {}}}, "cinder.secretRef.name: Required value"),
    ({"cephfs": {}}, "cephfs.monitors: Required value"),
    (
        {"quobyte": {"registry": "r", "volume": "v"}},
        'quobyte.registry: Invalid value: "r": must be a host:port pair or multiple pairs separated by '
        "commas",
    ),
    ({"quobyte": {"registry": "r:1,[::1]:2"}}, "quobyte.volume: Required value"),
    (
        {"quobyte": {"registry": "r:1", "volume": "v", "tenant": "t" * 65}},
        "quobyte.tenant: Required value: must be a UUID and may not exceed a length of 64 characters",
    ),
    (
        {"fc": {"lun": 0}},
        "fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both",
    ),
    ({"fc": {"targetWWNs": ["a"]}}, "fc.lun: Required value: lun is required if targetWWNs is specified"),
    (
        {"fc": {"targetWWNs": ["a"], "wwids": ["b"], "lun": 1}},
        'fc.targetWWNs: Invalid value: ["a"]: targetWWNs and wwids can not be specified simultaneously',
    ),
    (
        {"fc": {"targetWWNs": ["a"], "lun": -1}},
        "fc.lun: Invalid value: -1: must be between 0 and 255, inclusive",
    ),
    ({"flexVolume": {}}, "flexVolume.driver: Required value"),
    (
        {"flexVolume": {"driver": "d", "options": {"A.k8s.io/b": "c"}}},
        'flexVolume.options[A.k8s.io/b]: Invalid value: "A.k8s.io/b": '
        "kubernetes.io and k8s.io namespaces are reserved",
    ),
    ({"azureFile": {"secretName": "s"}}, "azureFile.shareName: Required value"),
    ({"vsphereVolume": {}}, "vsphereVolume.volumePath: Required value"),
    ({"photonPersistentDisk": {}}, "photonPersistentDisk.pdID: Required value"),
    ({"portworxVolume": {}}, "portworxVolume.volumeID: Required value"),
    (
        {"azureDisk": {"diskName": "d", "diskURI": "u", "kind": "Managed"}},
        'azureDisk.diskURI: Unsupported value: "u": supported values: '
        '"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"',
    ),
    (
        {"azureDisk": {"diskName": "d", "diskURI": "https://x", "cachingMode": "Odd"}},
        'azureDisk.cachingMode: Unsupported value: "Odd": supported values: "None", "ReadOnly", "ReadWrite"',
    ),
    ({"scaleIO": {"system": "s", "volumeName": "v"}}, "scaleIO.gateway: Required value"),
    ({"storageos": {}}, "storageos.volumeName: Required value"),
    ({"csi": {}}, "csi.driver: Required value"),
    (
        {"csi": {"driver": "d" * 64}},
        "csi.driver: Too long: may not be more than 63 bytes",
    ),
]


@pytest.mark.parametrize(("source", "problem"), OF_EITHER, ids=range(len(OF_EITHER)))
def test_a_source_is_checked_in_pods_and_in_volumes(source: Obj, problem: str) -> None:
    assert f"spec.volumes[0].{problem}" in _refused(PODS, _of_pod(source))
    assert f"spec.{problem}" in _refused(PERSISTENTVOLUMES, _persistent(source))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"gitRepo": {}}, "gitRepo.repository: Required value"),
        ({"persistentVolumeClaim": {}}, "persistentVolumeClaim.claimName: Required value"),
        ({"ephemeral": {}}, "ephemeral.volumeClaimTemplate: Required value"),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            "ephemeral.volumeClaimTemplate.spec.accessModes: Required value: "
            "at least 1 access mode is required",
        ),
        (
            {"ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "x"}}}},
            "ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
        ),
        (
            {"csi": {"driver": "d", "nodePublishSecretRef": {}}},
            "csi.nodePublishSecretRef.name: Required value",
        ),
        (
            {"iscsi": {**IQN, "iqn": "x"}},
            'iscsi.iqn: Invalid value: "x": must be valid format starting with iqn, eui, or naa',
        ),
        (
            {"projected": {"sources": [{"clusterTrustBundle": {"path": "p"}}]}},
            "projected.sources[0].clusterTrustBundle: Required value: "
            "either name or signerName must be specified",
        ),
        (
            {"projected": {"sources": [{"podCertificate": {"signerName": "a.b/c", "keyType": "DSA"}}]}},
            "projected.sources[0].podCertificate: Required value: specify at least one of "
            "credentialBundlePath, keyPath, and certificateChainPath",
        ),
        (
            {"configMap": {"name": "c"}, "emptyDir": {}},
            "configMap: Forbidden: may not specify more than 1 volume type",
        ),
    ],
)
def test_a_source_of_a_pod_is_checked(source: Obj, problem: str) -> None:
    assert f"spec.volumes[0].{problem}" in _refused(PODS, _of_pod(source))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"local": {}}, "local.path: Required value"),
        ({"local": {"path": "/x"}}, "nodeAffinity: Required value: Local volume requires node affinity"),
        ({"csi": {"driver": "d"}}, "csi.volumeHandle: Required value"),
        (
            {
                "csi": {
                    "driver": "d",
                    "volumeHandle": "h",
                    "nodeStageSecretRef": SECRET,
                    "nodePublishSecretRef": SECRET,
                }
            },
            "csi.nodePublishSecretRef.namespace: Required value",
        ),
        (
            {"storageos": {"volumeName": "v", "secretRef": SECRET}},
            "storageos.secretRef.namespace: Required value",
        ),
        ({"iscsi": {**IQN, "secretRef": {}}}, "iscsi.secretRef.name: Required value"),
        (
            {"azureFile": {"secretName": "s", "shareName": "n", "secretNamespace": ""}},
            "azureFile.secretNamespace: Required value",
        ),
        (
            {"glusterfs": {"endpoints": "e", "path": "p", "endpointsNamespace": "a.b"}},
            'glusterfs.endpointsNamespace: Invalid value: "a.b": must not contain dots',
        ),
        (
            {"nfs": {"server": "s", "path": "/"}, "hostPath": {"path": "/x"}},
            "nfs: Forbidden: may not specify more than 1 volume type",
        ),
        ({}, " Required value: must specify a volume type"),
    ],
)
def test_a_source_of_a_volume_is_checked(source: Obj, problem: str) -> None:
    assert f"spec.{problem}".replace(". ", ": ") in _refused(PERSISTENTVOLUMES, _persistent(source))


@pytest.mark.parametrize("source", SOURCES)
def test_what_says_nothing_is_refused_where_something_must_be_said(source: str) -> None:
    assert _refused(PERSISTENTVOLUMES, _persistent({source: {}})), source


def test_sources_have_defaults() -> None:
    disk = {"diskName": "d", "diskURI": "https://x"}
    pod = create(PODS, _of_pod({"iscsi": dict(IQN)}, {"azureDisk": disk}))
    first, second = pod["spec"]["volumes"]
    assert first["iscsi"]["iscsiInterface"] == "default"
    assert second["azureDisk"] == {
        **disk,
        "cachingMode": "ReadWrite",
        "kind": "Shared",
        "fsType": "ext4",
        "readOnly": False,
    }
