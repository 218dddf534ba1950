"""Fixtures: one stack for all tests that leave it as it is, and a client with a good token."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import GATEWAY, PLATFORM, Client, Stack


def pytest_configure(config: pytest.Config) -> None:
    for program in (GATEWAY, PLATFORM):
        if not program.exists():
            raise pytest.UsageError(f"{program} is not built. bash Tests/run.sh end-to-end builds it; METAFLOW_GATEWAY_BINARIES names another folder.")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()


@pytest.fixture(scope="session")
def client(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(stack, tmp_path_factory.mktemp("home"), stack.token())


@pytest.fixture
def somebody(stack: Stack, tmp_path: Path):
    """A client with another token, or none."""
    return lambda token: Client(stack, tmp_path / "home", token)
