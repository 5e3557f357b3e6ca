"""A kustomization as the list of its manifests: by kubectl, or, where there is none, by ourselves.

Ours knows what ops/k8s uses of kustomize and refuses the rest; a test compares both.
"""

import json
import re
import shutil
import subprocess

import yaml

CLUSTER_WIDE = ("Namespace", "StorageClass", "PersistentVolume")
KNOWN = {
    *("apiVersion", "kind", "namespace", "nameSuffix", "resources", "configMapGenerator"),
    *("patches", "images", "replicas"),
}
HASH = re.compile(r"-[a-z0-9]{10}$")


def rendered(folder):
    """The manifests, without the hashes that kubectl appends to names of ConfigMaps."""
    return by_kubectl(folder) if shutil.which("kubectl") else by_ourselves(folder)


def by_kubectl(folder):
    command = ["kubectl", "kustomize", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    manifests = list(yaml.safe_load_all(made.stdout))
    names = {m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"}
    assert names and all(HASH.search(name) for name in names), names
    text = json.dumps(manifests)
    for name in names:
        text = text.replace(json.dumps(name), json.dumps(HASH.sub("", name)))
    return json.loads(text)


def by_ourselves(folder):
    settings = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert settings.keys() <= KNOWN, settings.keys() - KNOWN
    manifests = []
    for resource in settings.get("resources", []):
        path = (folder / resource).resolve()
        manifests += by_ourselves(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    for generator in settings.get("configMapGenerator", []):
        files = [folder / name for name in generator["files"]]
        manifest = {"apiVersion": "v1", "kind": "ConfigMap"}
        manifest["metadata"] = {"name": generator["name"]}
        manifest["data"] = {file.name: file.read_text() for file in files}
        manifests.append(manifest)
    for patch in settings.get("patches", []):
        for manifest in manifests:
            if manifest["kind"] == patch["target"]["kind"]:
                patched(manifest, yaml.safe_load(patch["patch"]))
    for manifest in manifests:
        manifest["metadata"]["name"] += settings.get("nameSuffix", "")
        if "namespace" in settings and manifest["kind"] not in CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = settings["namespace"]
        for count in settings.get("replicas", []):
            if manifest["kind"] == "StatefulSet" and manifest["metadata"]["name"] == count["name"]:
                manifest["spec"]["replicas"] = count["count"]
        for container in (pod_of(manifest) or {}).get("containers", []):
            for image in settings.get("images", []):
                if container["image"] == image["name"]:
                    container["image"] = f"{image['name']}:{image['newTag']}"
    return manifests


def patched(manifest, operations):
    for operation in operations:
        assert operation["op"] == "replace", operation
        *way, last = [int(s) if s.isdigit() else s for s in operation["path"].split("/")[1:]]
        inner = manifest
        for step in way:
            inner = inner[step]
        inner[last]  # what is replaced is there
        inner[last] = operation["value"]


def template_of(manifest):
    """The pod template of a manifest, if it has one."""
    spec = manifest.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template")


def pod_of(manifest):
    """The pod's spec, if the manifest makes pods."""
    template = template_of(manifest)
    return template and template["spec"]
