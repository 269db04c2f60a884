"""Dense steps of sentence-transformers folders: computed as PyTorch computes them, read and written bit for bit, and
whatever does not fit is refused by its file and key."""

import json
import math

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert.checkpoints import convert, load, load_backbone, save
from kerasbert.checkpoints.formats.tensorflow_checkpoint import read_tensorflow
from kerasbert.checkpoints.model_comparison import fixed_inputs
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSentenceEncoder

# The formulas of PyTorch's documentation for each class of torch.nn, by its path.
ACTIVATIONS = {
    "linear.Identity": lambda x: x,
    "activation.Tanh": np.tanh,
    "activation.ReLU": lambda x: np.maximum(x, 0),
    "activation.ReLU6": lambda x: np.clip(x, 0, 6),
    "activation.GELU": lambda x: x * np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(x),
    "activation.Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "activation.SiLU": lambda x: x / (1 + np.exp(-x)),
    "activation.Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "activation.ELU": lambda x: np.where(x > 0, x, np.expm1(x)),
    "activation.SELU": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "activation.CELU": lambda x: np.where(x > 0, x, np.expm1(x)),
    "activation.Softplus": lambda x: np.log1p(np.exp(x)),
    "activation.Softsign": lambda x: x / (1 + np.abs(x)),
    "activation.LogSigmoid": lambda x: -np.log1p(np.exp(-x)),
    "activation.Hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "activation.Hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "activation.Hardtanh": lambda x: np.clip(x, -1, 1),
    "activation.Tanhshrink": lambda x: x - np.tanh(x),
    "activation.Softshrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "activation.Hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
}


@pytest.fixture
def folder(saved):
    """Transformer, Pooling(cls); dense steps are added by `add_dense`."""
    path = saved("sentences", preprocessing=True)
    (path / "1_Pooling/config.json").write_text('{"word_embedding_dimension": 8, "pooling_mode_cls_token": true}')
    return path


def write_steps(folder, *steps):
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), *steps]
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for kind, path in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))


def add_dense(folder, path="2_Dense", inputs=8, units=6, bias=True, weights=True, **settings):
    """Writes a dense step's files as sentence-transformers does; returns its matrix and bias in PyTorch's layout."""
    generator = np.random.default_rng(inputs + units)
    arrays = {"linear.weight": generator.normal(0, 2, (units, inputs)).astype("float32")}
    arrays |= {"linear.bias": generator.normal(0, 2, units).astype("float32")} if bias else {}
    config = {"in_features": inputs, "out_features": units, "bias": bias}
    config |= {"activation_function": "torch.nn.modules.activation.Tanh", **settings}
    (folder / path).mkdir()
    (folder / path / "config.json").write_text(json.dumps(config))
    if weights:
        save_file(arrays, folder / path / "model.safetensors", metadata={"format": "pt"})
    return arrays["linear.weight"], arrays.get("linear.bias", np.zeros(units, "float32"))


def first_states(loaded):
    """The hidden state of [CLS] in float64, [B, H]."""
    inputs = fixed_inputs(loaded.config)
    return inputs, np.asarray(loaded.model.backbone(inputs)["sequence_output"])[:, 0].astype("float64")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_step_is_computed(activation, bias, folder):
    weight, offset = add_dense(folder, bias=bias, activation_function=f"torch.nn.modules.{activation}")
    write_steps(folder, ("Dense", "2_Dense"))
    loaded = load(folder)
    inputs, states = first_states(loaded)
    expected = ACTIVATIONS[activation](states @ weight.T + offset)
    assert expected.shape == (3, 6)
    np.testing.assert_allclose(np.asarray(loaded.model(inputs)), expected, rtol=1e-5, atol=1e-5)
    # And out again, under the same name.
    again = save(loaded.model, folder.parent / "again")
    config = json.loads((again / "2_Dense/config.json").read_text())
    assert config == json.loads((folder / "2_Dense/config.json").read_text())
    written = load_file(again / "2_Dense/model.safetensors")
    assert written.keys() == load_file(folder / "2_Dense/model.safetensors").keys()
    np.testing.assert_array_equal(written["linear.weight"], weight)


def test_labse_s_steps_are_computed(folder):
    """Transformer, Pooling(cls), Dense with a square matrix and tanh, Normalize."""
    weight, offset = add_dense(folder, units=8)
    write_steps(folder, ("Dense", "2_Dense"), ("Normalize", "3_Normalize"))
    loaded = load(folder)
    assert (loaded.model.pooling, loaded.model.normalize) == ("cls", True)
    assert loaded.model.projections == [{"units": 8, "activation": "tanh", "use_bias": True}]
    inputs, states = first_states(loaded)
    expected = np.tanh(states @ weight.T + offset)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(loaded.model(inputs)), expected, atol=1e-5)


def test_several_dense_steps_on_several_poolings(folder):
    """Dropout has no effect after training, wherever it comes after the pooling."""
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode": ["cls", "cls"]}')
    first = add_dense(folder, "2_Dense", inputs=16, units=7, activation_function="torch.nn.modules.linear.Identity")
    second = add_dense(folder, "4_Dense", inputs=7, units=3, bias=False)
    steps = ("Dense", "2_Dense"), ("Dropout", "3_Dropout"), ("Dense", "4_Dense"), ("Normalize", "5"), ("Dropout", "6")
    write_steps(folder, *steps)
    loaded = load(folder)
    inputs, states = first_states(loaded)
    expected = np.tanh((np.concatenate([states, states], axis=1) @ first[0].T + first[1]) @ second[0].T)
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(np.asarray(loaded.model(inputs)), expected, atol=1e-5)
    assert loaded.model.embedding_size == 3


def test_settings_have_sentence_transformers_defaults(folder):
    add_dense(folder, module_input_name="sentence_embedding", module_output_name=None, use_residual=False)
    write_steps(folder, ("Dense", "2_Dense"))
    assert load(folder).model.projections == [{"units": 6, "activation": "tanh", "use_bias": True}]
    (folder / "2_Dense/config.json").write_text('{"in_features": 8, "out_features": 6}')
    assert load(folder).model.projections == [{"units": 6, "activation": "tanh", "use_bias": True}]


def test_weights_may_be_pytorch_s(folder):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = torch.nn.Linear(8, 6)
    add_dense(folder, weights=False)
    torch.save(
        {f"linear.{name}": value for name, value in layer.state_dict().items()}, folder / "2_Dense/pytorch_model.bin"
    )
    write_steps(folder, ("Dense", "2_Dense"))
    loaded = load(folder)
    inputs, states = first_states(loaded)
    expected = torch.tanh(layer(torch.tensor(states, dtype=torch.float32))).detach().numpy()
    np.testing.assert_allclose(np.asarray(loaded.model(inputs)), expected, atol=1e-6)


def test_half_precision_is_read_exactly(folder):
    weight, offset = (array.astype("float16") for array in add_dense(folder))
    save_file({"linear.weight": weight, "linear.bias": offset}, folder / "2_Dense/model.safetensors")
    write_steps(folder, ("Dense", "2_Dense"))
    (layer,) = load(folder).model.projection_layers
    np.testing.assert_array_equal(np.asarray(layer.kernel), weight.T.astype("float32"))
    np.testing.assert_array_equal(np.asarray(layer.bias), offset.astype("float32"))


@pytest.mark.parametrize("format", ["hugging_face", "google_tf1"])
def test_a_conversion_compares_the_projections_too(format, saved, tmp_path):
    source = saved("projected sentences", preprocessing=True)
    report = convert(source, tmp_path / "there", format)
    assert (report.model, report.largest_difference) == ("BertSentenceEncoder", 0)
    assert report.num_weights == 5 + 2 * 16 + 2 + 1
    convert(tmp_path / "there", tmp_path / "back")
    for file in (path.relative_to(source) for path in source.rglob("*") if path.is_file()):
        assert (tmp_path / "back" / file).read_bytes() == (source / file).read_bytes()


def test_google_s_layout_names_the_projections(saved):
    folder = saved("projected sentences", format="google_tf1")
    arrays = read_tensorflow(folder / "bert_model.ckpt")
    assert {name: array.shape for name, array in arrays.items() if name.startswith("sentence_encoder")} == {
        "sentence_encoder/projection_0/kernel": (16, 6),
        "sentence_encoder/projection_0/bias": (6,),
        "sentence_encoder/projection_1/kernel": (6, 5),
    }
    config = json.loads((folder / "bert_config.json").read_text())
    config["sentence_encoder"]["projections"][1]["use_bias"] = True
    (folder / "bert_config.json").write_text(json.dumps(config))
    with pytest.raises(BadInputError, match=r"Missing: sentence_encoder/projection_1/bias\."):
        load(folder)
    for wrong, rule in (
        ({"projections": [{"units": 0}]}, r"`units` must be.*`load_backbone`"),
        ({"pooling": 3}, r"`mode` must be one of.*`load_backbone`"),
        ({"scale": 3}, r"bert_config\.json: `sentence_encoder\.scale` must be left out.*`load_backbone`"),
    ):
        (folder / "bert_config.json").write_text(json.dumps({**config, "sentence_encoder": wrong}))
        with pytest.raises(BadInputError, match=rule):
            load(folder)
        assert isinstance(load_backbone(folder).model, BertBackbone)


def test_the_encoder_alone_is_loaded_without_the_projections(saved, make_model, assert_same_weights):
    folder = saved("projected sentences")
    loaded = load_backbone(folder)
    assert loaded.dropped == ("2_Dense/linear.bias", "2_Dense/linear.weight", "3_Dense/linear.weight")
    assert_same_weights(loaded.model, make_model("projected sentences").backbone)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"in_features": 9}, r"`in_features` must be 8, the size of the vectors before this step\. Received: 9"),
        ({"in_features": None}, r"`in_features` must be 8"),
        ({"out_features": None}, r"`out_features` must be the size of the vectors after this step\. Received: None"),
        ({"out_features": 0}, r"`out_features` must be a whole number of at least 1\. Received: 0"),
        ({"bias": "true"}, r"`bias` must be true or false\. Received: 'true'"),
        ({"activation_function": "torch.nn.modules.activation.PReLU"}, r"`activation_function` must be one of torch"),
        ({"activation_function": "os.system"}, r"`activation_function` must be one of .*Received: 'os\.system'"),
        ({"activation_function": None}, r"`activation_function` must be one of"),
        ({"activation_function": ["Tanh"]}, r"`activation_function` must be a string"),
        ({"module_input_name": "token_embeddings"}, r"`module_input_name` must be 'sentence_embedding'"),
        ({"module_output_name": "other"}, r"`module_output_name` must be 'sentence_embedding', .*Received: 'other'"),
        ({"use_residual": True}, r"`use_residual` must be False, because it changes the vectors. Received: True"),
        ({"scale": 2}, r"`scale` must be left out, because its effect is unknown. Received: 2"),
    ],
)
def test_settings_that_are_not_computed_are_refused(settings, rule, folder):
    add_dense(folder, **settings)
    write_steps(folder, ("Dense", "2_Dense"))
    with pytest.raises(BadInputError, match=rf"2_Dense/config\.json: {rule}.*`load_backbone`"):
        load(folder)
    assert isinstance(load_backbone(folder).model, BertBackbone)


def change_weights(folder, change):
    arrays = load_file(folder / "2_Dense/model.safetensors")
    change(arrays)
    save_file(arrays, folder / "2_Dense/model.safetensors")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda arrays: arrays.pop("linear.bias"), r"Missing: 2_Dense/linear\.bias\."),
        (lambda arrays: arrays.update(residual=np.zeros(2, "float32")), r"Left over: 2_Dense/residual\."),
        (
            lambda arrays: arrays.update({"linear.weight": arrays["linear.weight"].T.copy()}),
            r"Of another shape or type: 2_Dense/linear\.weight has \[8, 6\] and not \[6, 8\]\.",
        ),
        (
            lambda arrays: arrays.update({"linear.bias": np.zeros(6, "int32")}),
            r"2_Dense/linear\.bias has int32 and not floating-point numbers",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(change, found, folder):
    add_dense(folder)
    write_steps(folder, ("Dense", "2_Dense"))
    change_weights(folder, change)
    with pytest.raises(BadInputError, match=rf"2_Dense/model\.safetensors with 2_Dense/config\.json: .*{found}"):
        load(folder)
    assert isinstance(load_backbone(folder).model, BertBackbone)


def test_a_bias_that_the_config_excludes_is_unexpected(folder):
    add_dense(folder)
    config = json.loads((folder / "2_Dense/config.json").read_text())
    (folder / "2_Dense/config.json").write_text(json.dumps({**config, "bias": False}))
    write_steps(folder, ("Dense", "2_Dense"))
    with pytest.raises(BadInputError, match=r"Left over: 2_Dense/linear\.bias\."):
        load(folder)


def test_missing_and_damaged_files_are_named(folder):
    add_dense(folder, weights=False)
    write_steps(folder, ("Dense", "2_Dense"))
    with pytest.raises(BadInputError, match=r"2_Dense: the folder must contain weights: model\.safetensors"):
        load(folder)
    (folder / "2_Dense/model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInputError, match=r"2_Dense/model\.safetensors: a safetensors file must be complete"):
        load(folder)
    (folder / "2_Dense/config.json").unlink()
    with pytest.raises(BadInputError, match=r"2_Dense/config\.json: the file must exist"):
        load(folder)
    assert isinstance(load_backbone(folder).model, BertBackbone)


def test_two_steps_cannot_share_a_folder(folder):
    add_dense(folder, units=8)
    write_steps(folder, ("Dense", "2_Dense"), ("Dense", "2_Dense"))
    with pytest.raises(BadInputError, match=r"modules\.json: each Dense must have a different `path`\. Received: 2_De"):
        load(folder)


def test_an_activation_that_sentence_transformers_lacks_is_not_written(config, tmp_path):
    projections = [{"units": 6, "activation": "gelu_tanh"}]
    model = BertSentenceEncoder(BertBackbone.from_config(config), projections=projections)
    with pytest.raises(BadInputError, match=r"one of these activations .*: linear, tanh.*activation='gelu_tanh'"):
        save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert load(save(model, tmp_path / "google", format="google_tf1")).model.projections[0]["activation"] == "gelu_tanh"


def test_a_projection_of_zeros_is_written_like_any_other(config, tmp_path):
    model = BertSentenceEncoder(BertBackbone.from_config(config), projections=[{"units": 6, "use_bias": False}])
    model.projection_layers[0].set_weights([np.zeros((8, 6), "float32")])
    loaded = load(save(model, tmp_path / "model"))
    assert not np.any(loaded.model.projection_layers[0].kernel)
    assert loaded.absent == ()
