"""ServiceAccounts."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Printer
from wellhead.api.strategy import Context, Strategy
from wellhead.api.well_known import SERVICEACCOUNTS


def _cells(account: Obj, now: datetime) -> list[Cell]:
    return [cells.name(account), cells.created(account, now)]


_PRINTER = Printer((NAME, AGE), _cells)


_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


class ServiceAccountStrategy(Strategy):
    returned_when_deleted = True

    def warnings(self, obj: Obj) -> list[str]:
        if _MOUNTABLE not in (obj["metadata"].get("annotations") or {}):
            return []
        text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        return [f"metadata.annotations[{_MOUNTABLE}]: {text}"]

    def prepare_create(self, obj: Obj, context: Context) -> None:
        _keep_names(obj)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        _keep_names(new)


def _keep_names(account: Obj) -> None:
    """In place: of Secrets the names count, and are kept."""
    if secrets := account.get("secrets"):
        account["secrets"] = [{"name": each["name"]} if each.get("name") else {} for each in secrets]


KIND = Kind(SERVICEACCOUNTS, ServiceAccountStrategy(), _PRINTER)
