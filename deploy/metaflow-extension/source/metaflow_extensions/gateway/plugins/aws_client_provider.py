"""AWS clients with credentials of the stage's identity pool, so that artifacts in S3 need no key on the laptop.

Metaflow loads this module in remote jobs too, so its own syntax is that of older Pythons; what it imports later is not.
"""

import os
import sys
from functools import lru_cache
from typing import Any, Dict, Optional

from metaflow.plugins.aws.aws_client import Boto3ClientProvider

AWS_VARIABLE = "METAFLOW_GATEWAY_AWS"
"""Set to `off`, it leaves AWS credentials to boto3 (profiles, environment, instance roles)."""


class StageClientProvider(Boto3ClientProvider):
    name = "boto3"

    @staticmethod
    def get_client(
        module: str,
        with_error: bool = False,
        role_arn: Optional[str] = None,
        session_vars: Optional[Dict[str, Any]] = None,
        client_params: Optional[Dict[str, Any]] = None,
    ) -> Any:
        source = _source()
        if source is None:
            return Boto3ClientProvider.get_client(
                module, with_error, role_arn=role_arn, session_vars=session_vars, client_params=client_params
            )
        import boto3
        from botocore.exceptions import ClientError

        session = _botocore_session(source, session_vars or {}, role_arn)
        client = boto3.session.Session(botocore_session=session).client(module, **_parameters(module, client_params or {}))
        return (client, ClientError) if with_error else client


@lru_cache(maxsize=1)
def _source() -> Any:
    """Where credentials come from in this process, or nothing where Metaflow's own provider is right."""
    if sys.version_info < (3, 9) or os.environ.get(AWS_VARIABLE) == "off":
        return None
    from metaflow_extensions.gateway.login import active

    profile, tokens = active.chosen_profile(), active.fresh_tokens()
    if profile is None or tokens is None:
        return None
    pool = profile.configuration.identity_pool
    if pool is None:
        return None
    from metaflow_extensions.gateway.login.aws_credentials import FreshCredentials

    return FreshCredentials(tokens, pool), pool


def _botocore_session(source: Any, session_vars: Dict[str, Any], role_arn: Optional[str]) -> Any:
    import botocore.credentials
    import botocore.session

    from metaflow_extensions.gateway.login.aws_credentials import botocore_metadata
    from metaflow_extensions.gateway.login.clock import read_clocks
    from metaflow_extensions.gateway.login.problems import LoginProblem

    fresh, pool = source

    class StageCredentials(botocore.credentials.RefreshableCredentials):  # type: ignore[misc, unused-ignore]
        # The source decides when to replace them; asking it costs one small file. Botocore's own margins (15 and 10
        # minutes) suit lives of an hour and more only.
        _advisory_refresh_timeout = 60
        _mandatory_refresh_timeout = 30

    def fetch() -> Dict[str, str]:
        try:
            return botocore_metadata(fresh.credentials(), read_clocks())
        except LoginProblem as problem:
            from metaflow.exception import MetaflowException

            raise MetaflowException(problem.sentence) from problem

    session = botocore.session.Session(session_vars=session_vars or None)
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", pool.region)
    credentials = StageCredentials.create_from_metadata(fetch(), refresh_using=fetch, method="metaflow-gateway")
    if role_arn:
        fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
            client_creator=session.create_client, source_credentials=credentials, role_arn=role_arn, extra_args={}
        )
        credentials = botocore.credentials.DeferredRefreshableCredentials(
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
    session._credentials = credentials
    return session


def _parameters(module: str, given: Dict[str, Any]) -> Dict[str, Any]:
    """The client's parameters, with Metaflow's retry rule for S3 unless the user has set one."""
    import metaflow.metaflow_config as settings
    from botocore.config import Config

    # Older releases have the rule, but not under this name.
    retries = getattr(settings, "S3_CLIENT_RETRY_CONFIG", {"max_attempts": 10, "mode": "adaptive"})
    parameters = dict(given)
    configuration = parameters.get("config")
    if configuration is not None and not isinstance(configuration, Config):
        configuration = Config(**configuration)
    if module == "s3" and (configuration is None or configuration.retries is None):
        configuration = (configuration or Config()).merge(Config(retries=retries))
    if configuration is not None:
        parameters["config"] = configuration
    return parameters
