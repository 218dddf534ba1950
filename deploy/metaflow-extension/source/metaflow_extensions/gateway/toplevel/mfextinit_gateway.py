"""Metaflow loads this before its own configuration: here the stage's settings take their place in it.

They rank below everything that the user says (environment, project configuration, METAFLOW_HOME) and above Metaflow's
defaults. Put there, they are read like any other setting: with their types, with the settings derived from them (the
card and data roots follow the S3 root), and into the description of remote jobs.

Metaflow swallows what is raised here, so the configuration module looks at the outcome again.
"""

import sys


def _place_settings() -> None:
    from metaflow_extensions.gateway.login import active

    profile = active.choose_profile()
    if profile is None:
        return
    import metaflow.metaflow_config_funcs as functions

    if functions.METAFLOW_CONFIG is None:
        functions.METAFLOW_CONFIG = functions.init_config()
    for name, value in profile.configuration.settings.items():
        functions.METAFLOW_CONFIG.setdefault(name, value)
    active.settings_are_placed()


# A job's image may have an older Python, and Metaflow brings this file into it; there is no login to look for there.
if sys.version_info >= (3, 9):
    _place_settings()
