"""Metaflow takes the public names of this module into its configuration; the one that it may define is SERVICE_HEADERS."""

import sys

if sys.version_info >= (3, 9):
    import metaflow.metaflow_config as _configuration
    from metaflow_extensions.gateway.login import active as _active

    _active.check_choice()
    _headers = _active.service_headers(_configuration.SERVICE_URL, _configuration.SERVICE_HEADERS)
    if _headers is not None:
        SERVICE_HEADERS = _headers
    del _headers
