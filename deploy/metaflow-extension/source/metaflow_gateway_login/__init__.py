"""The command `metaflow-gateway-login`: log in to a stage, see the logins, log out."""

from .command_line import main

__all__ = ["main"]
