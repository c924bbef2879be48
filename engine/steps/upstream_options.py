"""Upstream options checked before they are used: the run's, and those of one step."""

from __future__ import annotations

from importlib.util import find_spec

from msgspec.structs import replace

from mockrec.engine.config import UpstreamSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.model import Passthrough
from mockrec.engine.steps.spec import CompileContext
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.errors import UpstreamError
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.pac import MISSING
from mockrec.engine.upstream.resolve import read_server


def options_of(settings: UpstreamSettings, upstream_client: UpstreamClient, where: str = "") -> UpstreamOptions:
    """Options that can be used: files exist, URLs are URLs. Raises ConfigError, whose text begins with `where`."""
    try:
        options = UpstreamOptions(settings)
        if settings.pac is not None and find_spec("dukpy") is None:
            raise ConfigError(f"upstream.proxy: {MISSING}")
        upstream_client.dialer.check(options)
        for server in settings.dns_servers:
            read_server(server)
    except ValueError as error:
        raise ConfigError(f"{where}upstream.proxy: {error}") from None
    except UpstreamError as error:
        raise ConfigError(f"{where}upstream.dnsServers: {error}; write address or address:port") from None
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None
    return options


def step_options(step: Passthrough, context: CompileContext) -> UpstreamOptions:
    """The options of the run, overridden by those of the step. Raises ConfigError."""
    if not step.upstream:
        return context.options
    settings = context.options.settings
    if "proxy" in step.upstream:
        settings = replace(settings, pac=None, secure_proxy=None)
    return options_of(replace(settings, **step.upstream), context.upstream_client, f"{step.place.where}: ")
