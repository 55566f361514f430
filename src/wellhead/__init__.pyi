from wellhead.clusters.cluster import Cluster as Cluster
from wellhead.clusters.commands import CommandFailed as CommandFailed
from wellhead.clusters.commands import NoAnswer as NoAnswer
from wellhead.clusters.host import Host as Host
from wellhead.clusters.namespace import Namespace as Namespace
from wellhead.lab.cluster import LabError as LabError

__all__ = ["Cluster", "CommandFailed", "Host", "LabError", "Namespace", "NoAnswer", "__version__"]

__version__: str
