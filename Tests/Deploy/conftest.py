import pytest

from kustomize import kubectl, kustomize_version, overlay


@pytest.fixture(params=["alpha", "sandbox", "prod"])
def stage(request):
    return request.param


@pytest.fixture
def objects(stage):
    return overlay(stage)


@pytest.fixture
def alpha():
    return overlay("alpha")


def pytest_report_header(config):
    version = ".".join(map(str, kustomize_version(kubectl())))
    return f"kubectl: {kubectl()} (kustomize {version})"
