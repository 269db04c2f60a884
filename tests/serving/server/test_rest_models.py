"""Model status and metadata over REST."""


def test_status_of_all_versions_in_tensorflow_servings_layout(rest):
    reply = rest.get("/v1/models/echo")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.text == (
        '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
        '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )
    assert rest.get("/v1/models/echo/versions/1").json() == reply.json()


def test_status_of_unknown_models(rest):
    reply = rest.get("/v1/models/echo/versions/2")
    assert (reply.status_code, reply.json()) == (404, {"error": "Could not find version 2 of model echo"})
    reply = rest.get("/v1/models/other")
    assert (reply.status_code, reply.json()) == (404, {"error": "Could not find any versions of model other"})
    reply = rest.get("/v1/models")
    assert (reply.status_code, reply.json()) == (400, {"error": "Missing model name in request."})
    reply = rest.get("/v1/models/echo?x=1")
    assert (reply.status_code, reply.json()) == (404, {"error": "Could not find any versions of model echo?x=1"})


def test_metadata_names_every_signature(rest):
    reply = rest.get("/v1/models/echo/metadata")
    assert reply.status_code == 200
    document = reply.json()
    assert document["model_spec"] == {"name": "echo", "signature_name": "", "version": "1"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "many", "classify"} <= set(signatures)
    default = signatures["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict"
    assert default["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert default["inputs"]["x"]["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["any_shape"]["inputs"]["x"]["tensor_shape"]["unknown_rank"] is True


def test_metadata_of_unknown_models(rest):
    reply = rest.get("/v1/models/echo/versions/2/metadata")
    assert (reply.status_code, reply.json()) == (
        404,
        {"error": "Servable not found for request: Specific(echo, 2)"},
    )
    reply = rest.get("/v1/models/echo/labels/stable/metadata")
    assert (reply.status_code, reply.json()) == (400, {"error": "Unrecognized servable version label: stable"})


def test_names_can_be_percent_encoded(rest):
    assert rest.get("/v1/models/%65cho").status_code == 200
