"""The deployment files, read by the parsers that read them in production and compared with the server itself."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import compose_spec
import httpx
import kubernetes_validate
import promql_parser
import pytest
import yaml
from google.protobuf import text_format

from kerasbert_serving import protos
from kerasbert_serving.clients import InvalidRequestError, RestClient
from kerasbert_serving.server import LocalServer

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "serving" / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
READY = ["model_ready", "bert"]


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def manifest(kind, name="bert-serving"):
    found = [
        document
        for path in MANIFESTS
        for document in documents(path)
        if document["kind"] == kind and document.get("metadata", {}).get("name") == name
    ]
    assert len(found) == 1
    return found[0]


# === The server's own settings ===


def test_the_settings_are_read_by_the_server(echo_version, tmp_path):
    folder = tmp_path / "bert"
    shutil.copytree(echo_version, folder / "1")
    models = tmp_path / "models.config"
    models.write_text((DEPLOY / "config" / "models.config").read_text().replace("/models/bert", str(folder)))
    options = {
        "batching_parameters_file": DEPLOY / "config" / "batching.config",
        "monitoring_config_file": DEPLOY / "config" / "monitoring.config",
    }
    with LocalServer(model_config_file=models, **options) as server:
        with RestClient(server.rest_url, "bert") as client:
            assert client.predict({"x": [1.0]})["y"].tolist() == [2.5]
        assert httpx.get(f"{server.rest_url}/monitoring/prometheus/metrics").status_code == 200


def test_the_config_map_contains_the_same_settings():
    data = manifest("ConfigMap")["data"]
    assert data.keys() == {"models.config", "batching.config", "monitoring.config"}
    for name, kind in (
        ("models.config", protos.ModelServerConfig),
        ("batching.config", protos.BatchingParameters),
        ("monitoring.config", protos.MonitoringConfig),
    ):
        file = text_format.Parse((DEPLOY / "config" / name).read_text(), kind())
        assert text_format.Parse(data[name], kind()) == file
        assert file.ByteSize()


def test_the_canary_release_step_by_step(echo_version, tmp_path):
    base = tmp_path / "bert"
    for version in (1, 2):
        shutil.copytree(echo_version, base / str(version))
    models = tmp_path / "models.config"

    def step(name):
        text = (DEPLOY / "config" / "canary" / f"{name}.config").read_text()
        models.write_text(text.replace("/models/bert", str(base)))

    def version_of(label):
        return client.for_model(label=label).metadata().version

    step("1-stable")
    options = {
        "model_config_file_poll_wait_seconds": 0.05,
        "file_system_poll_wait_seconds": 0.05,
        "allow_version_labels_for_unavailable_models": True,
    }
    with LocalServer(model_config_file=models, **options) as server, RestClient(server.rest_url, "bert") as client:

        def until(condition):
            for _ in range(3000):
                if condition():
                    return
                server.refresh()
            raise AssertionError([client.status(), condition])

        def states():
            return {status.version: status.state for status in client.status()}

        assert version_of("stable") == 1
        with pytest.raises(InvalidRequestError, match="canary"):
            version_of("canary")
        step("2-canary")
        until(lambda: states() == {1: "AVAILABLE", 2: "AVAILABLE"})
        assert (version_of("stable"), version_of("canary")) == (1, 2)
        step("3-promoted")
        until(lambda: version_of("stable") == 2)
        assert states() == {1: "AVAILABLE", 2: "AVAILABLE"}
        step("4-settled")
        until(lambda: states() == {1: "END", 2: "AVAILABLE"})
        assert version_of("stable") == 2
        with pytest.raises(InvalidRequestError, match="canary"):
            version_of("canary")


# === The image ===


def instructions():
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [line.split(None, 1) for line in lines if line.strip()]


def test_the_image_uses_files_that_exist():
    found = instructions()
    assert found[:2] == [["ARG", "BASE=tensorflow/serving:2.20.0"], ["FROM", "${BASE}"]]
    sources = [
        word for name, rest in found if name == "COPY" for word in rest.split()[:-1] if not word.startswith("--")
    ]
    assert "${MODEL_DIR}" in sources
    assert all((ROOT / source).is_file() for source in sources if source != "${MODEL_DIR}")
    command = json.loads(next(rest for name, rest in found if name == "CMD"))
    settings = [flag.split("=")[1] for flag in command if "_file=" in flag]
    copied = {f"/etc/tf_serving/{Path(source).name}" for source in sources}
    assert set(settings) <= copied
    health = next(rest for name, rest in found if name == "HEALTHCHECK")
    assert json.loads(health[health.index("CMD") + 4 :]) == READY
    assert any(name == "USER" and rest != "root" for name, rest in found)


@pytest.mark.parametrize("path", ["serving/deploy/docker/Dockerfile", "pipelines/deploy/Dockerfile"])
def test_hadolint_finds_no_fault(path):
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def ready(server, model, port=None):
    command = [str(DEPLOY / "docker" / "model_ready.sh"), model, str(port or server.rest_port)]
    return subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def test_a_model_is_ready_if_a_version_is_available(echo_version, tmp_path, unused_port):
    base = tmp_path / "bert"
    shutil.copytree(echo_version, base / "1")
    with LocalServer(model_dir=base, model_name="bert", file_system_poll_wait_seconds=0) as server:
        assert ready(server, "bert")
        assert not ready(server, "nobody")
        assert not ready(server, "bert", unused_port)
        (base / "2").mkdir()
        (base / "2" / "saved_model.pb").write_bytes(b"broken")
        server.refresh()
        assert ready(server, "bert")  # the previous version keeps serving
        shutil.rmtree(base / "1")
        shutil.rmtree(base / "2")
        server.refresh()
        status = httpx.get(f"{server.rest_url}/v1/models/bert")
        assert status.status_code == 200
        assert "AVAILABLE" not in status.text
        assert not ready(server, "bert")


# === Compose ===


def test_compose_names_only_files_that_exist():
    path = DEPLOY / "docker" / "compose.yaml"
    [compose] = documents(path)
    services = compose["services"]
    assert services.keys() == {"model", "prometheus", "grafana"}
    for service in services.values():
        assert re.fullmatch(r"[\w./-]+:[\w.]+", service["image"])
        assert set(service.get("depends_on", [])) <= services.keys()
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (path.parent / source).exists() if "/" in source else source in compose["volumes"]
    build = services["model"]["build"]
    context = path.parent / build["context"]
    assert (context / build["dockerfile"]).resolve() == (DEPLOY / "docker" / "Dockerfile").resolve()


def test_compose_matches_its_specification():
    text = (DEPLOY / "docker" / "compose.yaml").read_text()
    read = compose_spec.PyCompose.from_yaml(text)
    read.validate()
    assert set(read.service_names()) == {"model", "prometheus", "grafana"}


# === Kubernetes ===


def test_manifests_match_the_published_schemas():
    for path in MANIFESTS:
        for document in documents(path):
            if document["kind"] != "Kustomization":
                kubernetes_validate.validate(document, "1.33", strict=True)
    # A container of KServe is a container of Kubernetes.
    predictor = kserve()["spec"]["predictor"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": predictor["containers"]},
    }
    kubernetes_validate.validate(pod, "1.33", strict=True)


def test_manifests_fit_together():
    [customization] = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    assert {f"{name}" for name in customization["resources"]} == {path.name for path in MANIFESTS} - {
        "kustomization.yaml"
    }
    deployment = manifest("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    assert deployment["selector"]["matchLabels"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "bert-serving"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    for name in ("bert-serving", "bert-serving-pods"):
        service = manifest("Service", name)["spec"]
        assert service["selector"] == labels
        assert all(
            port["targetPort"] in ports and ports[port["targetPort"]] == port["port"] for port in service["ports"]
        )
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    annotations = deployment["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "8501"
    assert annotations["prometheus.io/path"] == "/monitoring/prometheus/metrics"
    assert [image["name"] for image in customization["images"]] == [container["image"]]


def kserve():
    [service] = documents(DEPLOY / "kserve" / "inference-service.yaml")
    return service


def containers():
    [deployed] = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    [served] = kserve()["spec"]["predictor"]["containers"]
    return [deployed, served]


def test_probes_wait_for_loading_and_warm_up_and_read_the_state():
    for container in containers():
        startup, readiness, liveness = (container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness"))
        assert startup["exec"]["command"] == readiness["exec"]["command"] == READY
        assert startup["failureThreshold"] * startup["periodSeconds"] >= 300
        assert liveness["httpGet"]["path"] == "/v1/models/bert"
        # The script itself gives up after 5 seconds.
        assert min(startup["timeoutSeconds"], readiness["timeoutSeconds"]) > 5
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause


def test_kserve_names_the_image():
    service = kserve()
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    [_, container] = containers()
    assert container["name"] == "kserve-container"
    [customization] = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    [image] = customization["images"]
    assert container["image"] == f"{image['newName']}:{image['newTag']}"


# === Monitoring ===


def dashboard():
    return json.loads((DEPLOY / "monitoring" / "grafana" / "dashboards" / "tf-serving.json").read_text())


def queries():
    """All queries of the dashboard and of the alerts."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    found = [query.replace("$__rate_interval", "5m") for query in found]
    [alerts] = documents(DEPLOY / "monitoring" / "alerts.yaml")
    return found + [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def exported(echo_server):
    """The labels of the metrics that the server exports after some traffic, by the name of the metric."""
    with httpx.Client(base_url=echo_server.rest_url) as client:
        client.post("/v1/models/echo:predict", content=b'{"instances": [1]}')
        client.post("/v1/models/echo:predict", content=b"{}")
        page = client.get("/monitoring/prometheus/metrics").text
    found = {name: set() for name in re.findall(r"(?m)^# TYPE (\S+) counter$", page)}
    for name in re.findall(r"(?m)^# TYPE (\S+) histogram$", page):
        found.update({f"{name}_bucket": {"le"}, f"{name}_sum": set(), f"{name}_count": set()})
    for name, labels in re.findall(r"(?m)^(:\S+?)\{(.*)\} \S+$", page):
        found[name] |= set(re.findall(r'(\w+)="', labels))
    return found


def test_queries_use_metrics_and_labels_that_the_server_exports(exported, echo_server):
    # Labels of metrics that only a warm-up writes, and labels that Prometheus adds.
    exported[":tensorflow:serving:model_warmup_latency_sum"] |= {"model_path", "status"}
    exported[":tensorflow:serving:model_warmup_latency_count"] |= {"model_path", "status"}
    added = {"instance", "job"}
    for query in queries():
        names = set(re.findall(r":[a-z_:]+", query))
        assert names <= exported.keys(), query
        known = set().union(*(exported[name] for name in names)) | added
        selected = {label for inner in re.findall(r"\{(.*?)\}", query) for label in re.findall(r"(\w+)\s*[=!]", inner)}
        grouped = {label for inner in re.findall(r"by \((.*?)\)", query) for label in inner.split(", ")}
        assert selected | grouped <= known, query


def test_queries_are_promql():
    for query in queries():
        promql_parser.parse(query)


def test_the_dashboard_is_complete():
    board = dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == 8
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    [source] = documents(DEPLOY / "monitoring" / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")
    uid = source["datasources"][0]["uid"]
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {uid}
    assert [variable["name"] for variable in board["templating"]["list"]] == ["model"]


def test_prometheus_scrapes_the_servers_path():
    [local] = documents(DEPLOY / "monitoring" / "prometheus.yaml")
    [job] = local["scrape_configs"]
    assert job["metrics_path"] == "/monitoring/prometheus/metrics"
    assert job["static_configs"][0]["targets"] == ["model:8501"]
    [pods] = documents(DEPLOY / "monitoring" / "prometheus-kubernetes.yaml")
    for config in (local, pods):
        assert all((DEPLOY / "monitoring" / name).is_file() for name in config["rule_files"])
        assert config["scrape_configs"][0]["job_name"] == "tf-serving"
