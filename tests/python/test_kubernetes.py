"""ops/k8s: what a cluster would be given is valid, whole, confined, and fits the nodes.

No cluster is asked: kubectl only renders, and the schemas come with a package.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
import tomllib
from pathlib import Path

import kubernetes_validate
import kustomization
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
K8S = REPOSITORY / "ops" / "k8s"
SCRIPTS = K8S / "base" / "scripts"
# supported by every cluster that is not out of support itself
VERSIONS = ["1.31", "1.34"]
GIB = {"Mi": 1 / 1024, "Gi": 1}


@pytest.fixture(scope="module")
def site():
    return kustomization.rendered(K8S / "site")


def name(manifest):
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pods(site):
    found = {name(m): kustomization.pod_of(m) for m in site if kustomization.pod_of(m)}
    assert found.keys() >= {"StatefulSet/bifrost", "StatefulSet/postgres", "CronJob/bifrost-sync-2"}
    return found


def named(site, kind):
    return {m["metadata"]["name"]: m for m in site if m["kind"] == kind}


def gib(text):
    return float(text[:-2]) * GIB[text[-2:]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schema(site, version):
    secret = yaml.safe_load((K8S / "secret.yaml").read_text())
    assert len(site) > 20
    for manifest in [*site, secret]:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kubectl_renders_what_we_render():
    def in_order(site):
        return sorted(site, key=name)

    ours = in_order(kustomization.by_ourselves(K8S / "site"))
    assert in_order(kustomization.by_kubectl(K8S / "site")) == ours


def test_every_pod_is_as_restricted_as_the_namespace_demands(site):
    demanded = named(site, "Namespace")["bifrost"]["metadata"]["labels"]
    assert demanded["pod-security.kubernetes.io/enforce"] == "restricted"
    for owner, pod in pods(site).items():
        around = pod["securityContext"]
        assert around["runAsNonRoot"] is True and around["runAsUser"] > 0, owner
        assert around["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        assert pod["automountServiceAccountToken"] is False, owner
        assert not any(pod.get(f) for f in ("hostNetwork", "hostPID", "hostIPC")), owner
        allowed = {"name", "configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        assert {key for volume in pod["volumes"] for key in volume} <= allowed, owner
        for container in pod["containers"] + pod.get("initContainers", []):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, owner
            assert own["readOnlyRootFilesystem"] is True, owner
            assert own["capabilities"] == {"drop": ["ALL"]}, owner
            assert not own.get("privileged"), owner


def test_every_name_that_is_used_is_there(site):
    settings = named(site, "ConfigMap")
    secret = yaml.safe_load((K8S / "secret.yaml").read_text())
    claims = {}
    for manifest in site:
        for template in manifest.get("spec", {}).get("volumeClaimTemplates", []):
            for ordinal in range(manifest["spec"]["replicas"]):
                claim = f"{template['metadata']['name']}-{manifest['metadata']['name']}-{ordinal}"
                claims[claim] = template["spec"]
    for owner, pod in pods(site).items():
        sources = list(pod["volumes"])
        for container in pod["containers"]:
            sources += [e["valueFrom"] for e in container["env"] if "valueFrom" in e]
        for source in sources:
            if "configMap" in source:
                assert source["configMap"]["name"] in settings, owner
            if "secret" in source:
                assert source["secret"]["secretName"] == secret["metadata"]["name"], owner
                for item in source["secret"]["items"]:
                    assert item["key"] in secret["stringData"], owner
            if "secretKeyRef" in source:
                key = source["secretKeyRef"]
                assert key["name"] == secret["metadata"]["name"], owner
                assert key.get("optional") or key["key"] in secret["stringData"], owner
            if "persistentVolumeClaim" in source:
                assert source["persistentVolumeClaim"]["claimName"] in claims, owner
    # each claim has a disk that is promised to it, large enough, of its class; no disk is over
    disks = {}
    for disk in named(site, "PersistentVolume").values():
        assert disk["spec"]["claimRef"]["namespace"] == "bifrost"
        disks[disk["spec"]["claimRef"]["name"]] = disk["spec"]
    assert disks.keys() == claims.keys()
    for claim, spec in claims.items():
        assert disks[claim]["storageClassName"] == spec["storageClassName"]
        assert spec["storageClassName"] in named(site, "StorageClass")
        room = spec["resources"]["requests"]["storage"]
        assert gib(disks[claim]["capacity"]["storage"]) >= gib(room), claim
    hosts = [str(disk["nodeAffinity"]) for disk in disks.values()]
    assert len(set(hosts)) == len(hosts)


def test_every_mount_selector_and_probe_meets_something(site):
    labels = []
    for manifest in site:
        template = kustomization.template_of(manifest)
        if not template:
            continue
        labels.append(template["metadata"]["labels"])
        pod, owner = template["spec"], name(manifest)
        templates = manifest["spec"].get("volumeClaimTemplates", [])
        volumes = [v["name"] for v in pod["volumes"]] + [t["metadata"]["name"] for t in templates]
        for container in pod["containers"]:
            assert sorted(m["name"] for m in container["volumeMounts"]) == sorted(volumes), owner
            for key, value in container.items():
                if key.endswith("Probe"):
                    ours = re.fullmatch(r"/scripts/(\w+)", value["exec"]["command"][0])
                    assert not ours or (SCRIPTS / ours[1]).exists(), owner

    def selected(selector):
        wanted = dict(selector.get("matchLabels", {}))
        for expression in selector.get("matchExpressions", []):
            assert expression["operator"] == "In"
            for value in expression["values"]:
                assert any(pod.get(expression["key"]) == value for pod in labels), selector
        return any(wanted.items() <= pod.items() for pod in labels)

    selectors = []
    for manifest in site:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Service":
            selectors.append({"matchLabels": spec["selector"]})
        if manifest["kind"] in ("StatefulSet", "PodDisruptionBudget"):
            selectors.append(spec["selector"])
        if manifest["kind"] == "NetworkPolicy":
            selectors.append(spec["podSelector"])
            for rule in spec.get("ingress", []) + spec.get("egress", []):
                peers = rule.get("from", []) + rule.get("to", [])
                selectors += [peer["podSelector"] for peer in peers if "podSelector" in peer]
    assert len(selectors) > 10
    for selector in selectors:
        assert selected(selector), selector


def test_pods_fit_their_nodes(site):
    def takes(*owners):
        found = [c["resources"] for owner in owners for c in pods(site)[owner]["containers"]]
        for resources in found:
            assert resources["requests"] == resources["limits"]  # nobody is evicted for another
        requests = [resources["requests"] for resources in found]
        return sum(float(r["cpu"]) for r in requests), sum(gib(r["memory"]) for r in requests)

    # a core and 4 GiB are the system's
    cores, memory_gib = takes("StatefulSet/bifrost", "CronJob/bifrost-sync-0")
    assert 8 <= cores <= 12 - 1 and 32 <= memory_gib <= 48 - 4
    cores, memory_gib = takes("StatefulSet/postgres")
    assert 6 <= cores <= 8 - 1 and 24 <= memory_gib <= 32 - 4
    apart = pods(site)["StatefulSet/bifrost"]["affinity"]["podAntiAffinity"]
    [rule] = apart["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"


def test_lakes_keep_their_names(site):
    """Pod, claim and sync of a lake give the registry one name for its node."""
    env = pods(site)["StatefulSet/bifrost"]["containers"][0]["env"]
    [node] = [e for e in env if e["name"] == "BIFROST_NODE"]
    assert node["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    replicas = named(site, "StatefulSet")["bifrost"]["spec"]["replicas"]
    assert replicas == len(named(site, "CronJob"))
    for ordinal in range(replicas):
        pod = pods(site)[f"CronJob/bifrost-sync-{ordinal}"]
        [node] = [e["value"] for e in pod["containers"][0]["env"] if e["name"] == "BIFROST_NODE"]
        assert node == f"bifrost-{ordinal}"
        claims = [v.get("persistentVolumeClaim") for v in pod["volumes"]]
        assert {"claimName": f"lake-{node}"} in claims


def test_a_run_has_the_time_to_stop_that_it_states(site):
    grace_s = tomllib.loads((K8S / "base" / "bifrost.toml").read_text())["run"]["grace"]
    assert pods(site)["StatefulSet/bifrost"]["terminationGracePeriodSeconds"] >= grace_s + 15


def test_the_program_takes_settings_and_commands(place, site):
    place.lake.mkdir()
    place.run("--config", K8S / "base" / "bifrost.toml", "sync", "--dry-run")
    said = [script.read_text() for script in SCRIPTS.iterdir()]
    for pod in pods(site).values():
        for container in pod["containers"]:
            said += [" ".join(v["exec"]["command"]) for k, v in container.items() if "Probe" in k]
    lines = [line for text in said for line in text.splitlines() if not line.startswith("#")]
    commands = set(re.findall(r"\bbifrost((?: -\S+)* [a-z]+(?: status)?)", "\n".join(lines)))
    assert {c.split()[-1] for c in commands} == {"run", "sync", "nodes", "status"}
    for command in commands:
        place.run(*command.split(), "--help")


def test_no_secret_is_kept_here():
    secret = yaml.safe_load((K8S / "secret.yaml").read_text())
    assert set(secret["stringData"].values()) == {""}
    assert not any(m["kind"] == "Secret" for m in kustomization.rendered(K8S / "site"))
    for file in K8S.rglob("*.*"):
        if file.is_file():
            assert not re.search(r"://\w+:(?!\$\()\S+@", file.read_text()), file


def test_the_image_holds_what_the_program_is_made_of(site):
    text = (K8S / "Containerfile").read_text()
    copied = set(" ".join(re.findall(r"^COPY (?!--)(.*) \S+$", text, re.M)).split())
    assert all((REPOSITORY / source).exists() for source in copied)
    needed = {"Cargo.toml", "Cargo.lock", "crates"}
    for source in (REPOSITORY / "crates").glob("*/src/**/*.rs"):
        for path in re.findall(r'include_str!\("([^"]+)"\)', source.read_text()):
            needed.add((source.parent / path).resolve().relative_to(REPOSITORY).parts[0])
    assert len(needed) > 3 and copied >= needed
    [user] = re.findall(r"^USER (\d+):\d+$", text, re.M)
    for owner in ("StatefulSet/bifrost", "CronJob/bifrost-sync-0"):
        assert pods(site)[owner]["securityContext"]["runAsUser"] == int(user)


class Pretender:
    """A folder with a `bifrost` that is a shell script."""

    def __init__(self, folder, script):
        self.folder = folder
        (folder / "bifrost").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bifrost").chmod(0o755)
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "BIFROST_NODE": "bifrost-1",
            "BIFROST_LOOK_AGAIN_S": "0",
            "BIFROST_TRY_AGAIN_S": "0",
        }

    def start(self, script):
        around = {"cwd": self.folder, "env": self.environment, "start_new_session": True}
        return subprocess.Popen([SCRIPTS / script], stdout=subprocess.PIPE, text=True, **around)

    def code(self, script):
        started = self.start(script)
        started.communicate()
        return started.returncode


def test_the_campaign_runs_again_until_it_fails(tmp_path):
    codes = [0, 3, 75, 4, 75, 1, 0]
    (tmp_path / "codes").write_text("\n".join(map(str, codes)) + "\n")
    script = 'echo "$@" >> calls\nread -r code < codes\nsed -i 1d codes\nexit $code'
    assert Pretender(tmp_path, script).code("campaign") == 1
    assert (tmp_path / "calls").read_text().split() == ["run"] * 6


def test_the_campaign_stops_its_run_and_waits_for_it(tmp_path):
    # the run answers SIGTERM with work that must be done before it ends
    at_the_end = "trap 'echo stopping; sleep 0.3; touch stopped; exit 75' TERM"
    script = f"{at_the_end}\necho began\nwhile :; do sleep 0.05; done"
    campaign = Pretender(tmp_path, script).start("campaign")
    # a script that does not stop fails the test instead of holding it up
    hangs = threading.Timer(60, os.killpg, [campaign.pid, signal.SIGKILL])
    hangs.start()
    try:
        assert campaign.stdout.readline() == "began\n"
        campaign.send_signal(signal.SIGTERM)
        assert campaign.stdout.read() == "stopping\n"
        assert campaign.wait() == 0
    finally:
        hangs.cancel()
        campaign.stdout.close()
    assert (tmp_path / "stopped").exists()


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize(
    ("state", "code"), [("running", 0), ("left", 0), ("silent", 1), (None, 0)]
)
def test_only_a_silent_node_is_not_alive(tmp_path, state, code):
    others = '{"node": "bifrost-2", "state": "silent"}, {"node": "bifrost-1", "state": "%s"}'
    answer = f"echo '{{\"nodes\": [{others % state}]}}'" if state else "exit 75"
    assert Pretender(tmp_path, answer).code("alive") == code


@pytest.mark.parametrize(("ended", "code"), [(0, 0), (3, 0), (1, 1), (2, 2), (75, 75)])
def test_a_sync_that_set_something_aside_is_no_failure(tmp_path, ended, code):
    assert Pretender(tmp_path, f"exit {ended}").code("sync") == code


def test_every_exit_code_of_sync_has_an_answer(site):
    help = [os.environ["BIFROST_BIN"], "--help"]
    told = subprocess.run(help, capture_output=True, text=True, check=True).stdout
    codes = re.findall(r"\b(\d+)\s+(?:ok|failed|usage|finished|nothing|try)", told)
    job = named(site, "CronJob")["bifrost-sync-0"]["spec"]["jobTemplate"]["spec"]
    on_codes = [r["onExitCodes"] for r in job["podFailurePolicy"]["rules"] if "onExitCodes" in r]
    answered = [code for rule in on_codes for code in rule["values"]]
    assert sorted(answered + [0, 3]) == sorted(map(int, codes))
