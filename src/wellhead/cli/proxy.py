"""`wellhead proxy`: a node's service proxy, under kube-proxy's flag names.

Its options are made from the fields of a KubeProxyConfiguration, so that flags and file can't differ.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from click.core import ParameterSource

from wellhead import __version__, component
from wellhead.cli.options import logging_options
from wellhead.cli.symmetric_return import symmetric_return_options, taken
from wellhead.proxy.backends.base import BackendError
from wellhead.proxy.backends.iptables.commands import Variant
from wellhead.proxy.claims.settings import SOURCE_CLAIMS, SourceClaims
from wellhead.proxy.config import Config
from wellhead.proxy.configuration.load import ConfigurationError, Given, from_file, from_flags, to_document
from wellhead.proxy.configuration.resolve import resolve
from wellhead.proxy.configuration.schema import KubeProxyConfiguration, Logging
from wellhead.proxy.configuration.settings import SETTINGS, Setting, without_effect
from wellhead.proxy.marks import UnusableMask
from wellhead.proxy.start import run

C = TypeVar("C", bound=click.Command)

log = logging.getLogger(__name__)

_BESIDE_A_FILE = {"hostname-override", "logging-format", "v", "vmodule"}
"""Flags that count although a file is given, as upstream: there, the file decides everything else."""
_DEBUG_VERBOSITY = 4
_WITHOUT_VALUE: dict[str, Any] = {"is_flag": False, "flag_value": "true"}
_METAVARS = {"boolean": "true|false", "number": "N", "list": "A,B,…", "map": "NAME=true|false,…"}


def _configuration_options(command: C) -> C:
    """Add an option for every flag that a field names. They appear in the file's order."""
    by_flag: dict[str, Setting] = {}
    for each in SETTINGS:
        if each.flag:
            by_flag.setdefault(each.flag, each)
    for flag, each in by_flag.items():
        option = click.Option(
            [*_spellings(flag), _parameter(flag)],
            metavar=_METAVARS.get(each.kind, each.kind.upper()),
            multiple=each.kind in ("list", "map"),
            hidden=bool(each.unused),
            help=_help(each),
            **_WITHOUT_VALUE if each.kind == "boolean" else {},
        )
        command.params.append(option)
    return command


def _parameter(flag: str) -> str:
    return flag.replace("-", "_")


def _spellings(flag: str) -> list[str]:
    return [f"--{flag}", f"-{flag}"] if len(flag) == 1 else [f"--{flag}"]


def _help(setting: Setting) -> str:
    if setting.unused:
        return f"No effect: {setting.unused}."
    if setting.kind in ("list", "map") or setting.default in ("", False) or "[default" in setting.help:
        return setting.help
    default = str(setting.default).lower() if setting.kind == "boolean" else str(setting.default)
    return f"{setting.help} [default: {default}]"


@_configuration_options
@symmetric_return_options
@click.command("proxy", short_help="Run a node's service proxy.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="A KubeProxyConfiguration file. It decides alone: of the flags that it has fields for, only"
    " --hostname-override and those about logging still count.",
)
@click.option("--master", help="The API server's URL, in place of the kubeconfig's.")
@click.option(
    "--iptables-variant",
    type=click.Choice(["auto", "nft", "legacy"]),
    default="auto",
    show_default=True,
    help="Which iptables; auto is the one that “iptables” stands for.",
)
@click.option(
    "--preserve-client-ip",
    type=bool,
    metavar="true|false",
    default=False,
    **_WITHOUT_VALUE,
    help="Keep the address of clients outside the cluster also under the external traffic policy Cluster, for"
    " all Services but those annotated wellhead.dev/preserve-client-ip=false. [default: for those annotated"
    " =true]",
)
@click.option(
    "--source-claims",
    type=click.Choice(SOURCE_CLAIMS),
    default="auto",
    show_default=True,
    help="Which of the connections that the proxy leaves alone keep their source whatever masquerades behind"
    " it: those whose replies are known to come back through this node, all, or none.",
)
@click.option(
    "--cleanup",
    "clean",
    type=bool,
    metavar="true|false",
    default=False,
    **_WITHOUT_VALUE,
    help="Remove every rule of the proxy, and exit.",
)
@click.option(
    "--init-only",
    type=bool,
    metavar="true|false",
    default=False,
    **_WITHOUT_VALUE,
    help="Make the kernel settings that need full privileges, and exit.",
)
@click.version_option(__version__, prog_name="wellhead proxy")
@click.option(
    "--write-config-to",
    type=click.Path(path_type=Path),
    help="Write the configuration that the flags amount to into a file, and exit.",
)
@logging_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    config_file: Path | None,
    master: str | None,
    iptables_variant: Variant,
    preserve_client_ip: bool,
    source_claims: SourceClaims,
    clean: bool,
    init_only: bool,
    write_config_to: Path | None,
    log_level: str,
    log_format: component.LogFormat,
    **flags: Any,
) -> None:
    """Run the service proxy of one node: Services' addresses lead to their endpoints.

    It programs the network namespace that it is started in. Its rules stay in force when it stops, so that a
    restart interrupts nothing; --cleanup removes them.
    """
    returning = taken(flags)
    given = _given(flags)
    configuration = _configuration(config_file, given)
    if write_config_to is not None:
        _write(configuration, write_config_to)
        return
    try:
        config = resolve(
            configuration,
            master=master,
            iptables_variant=iptables_variant,
            preserve_client_ip=preserve_client_ip,
            source_claims=source_claims,
            return_marks=returning.mark_mask,
            file=config_file,
        )
        config = replace(config, symmetric_return=returning.settings)
    except UnusableMask as error:
        raise click.UsageError(f"--symmetric-return-mark-mask: {error}") from error
    except ConfigurationError as error:
        raise _complaint(error, config_file, given) from None
    log_level, log_format = _logging(context, configuration.logging, log_level, log_format)
    component.setup_logging(log_level, log_format)
    if clean:
        from wellhead.proxy.main import cleanup  # `run` loads it when it has asked for the lists

        _run_once(cleanup(config))
        return
    _warn(configuration, config_file, given)
    if init_only:
        from wellhead.proxy.main import initialise

        _run_once(initialise(config))
        return
    _start(config, log_level, log_format)


def _start(config: Config, log_level: str, log_format: component.LogFormat) -> None:
    component.run("proxy", run(config), log_level=log_level, log_format=log_format)


def _run_once(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except BackendError as error:
        raise click.ClickException(str(error)) from error


def _given(flags: dict[str, Any]) -> Given:
    """The configuration flags that were on the command line, by their names without dashes."""
    names = {_parameter(each.flag): each.flag for each in SETTINGS if each.flag}
    return {
        # pflag reads -v=4 as 4, click as =4
        names[name]: value.removeprefix("=") if len(name) == 1 else value
        for name, value in flags.items()
        if value not in (None, ())
    }


def _configuration(file: Path | None, given: Given) -> KubeProxyConfiguration:
    try:
        if file is None:
            return from_flags(given)
        return from_file(file, {name: given[name] for name in given.keys() & _BESIDE_A_FILE})
    except ConfigurationError as error:
        raise _complaint(error, file, given) from None


def _complaint(error: ConfigurationError, file: Path | None, given: Given) -> click.UsageError:
    """What is wrong, by the names that were used: the flag's, or the file's and the field's."""
    usable = {each.flag for each in SETTINGS} - {""} if file is None else _BESIDE_A_FILE & given.keys()
    flags = {each.name: each.flag for each in SETTINGS if each.flag in usable}
    lines = []
    for name, what in error.problems:
        flag = flags.get(name.partition("[")[0])
        if flag is not None:
            lines.append(f"--{flag}: {what}")
        else:
            lines.append(": ".join(each for each in (str(file or ""), name, what) if each))
    return click.UsageError("\n".join(dict.fromkeys(lines)))


def _logging(
    context: click.Context, logging: Logging, level: str, line: component.LogFormat
) -> tuple[str, component.LogFormat]:
    """--log-level and --log-format when given, else what the configuration says."""

    def default(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.DEFAULT

    if default("log_level") and logging.verbosity >= _DEBUG_VERBOSITY:
        level = "debug"
    if default("log_format"):
        line = "json" if logging.format == "json" else "text"
    return level, line


def _warn(configuration: KubeProxyConfiguration, file: Path | None, given: Given) -> None:
    for each in without_effect(configuration):
        log.warning("%s", each)
    if file is not None:
        for flag in sorted(given.keys() - _BESIDE_A_FILE):
            log.warning("--%s is ignored: %s decides", flag, file)


def _write(configuration: KubeProxyConfiguration, path: Path) -> None:
    try:
        path.write_text(yaml.safe_dump(to_document(configuration), sort_keys=False))
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
