"""The config refuses invalid values, and reads and writes both dialects without changing their meaning."""

import dataclasses
import json
import subprocess
import sys

import pytest

from kerasbert.config import BertConfig
from kerasbert.errors import BadInputError

# google-research/bert README and the Hugging Face files of the same models.
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
# What a plain BERT does not have.
VARIANTS = {
    "norm_placement": "sandwich",
    "norm_type": "rms_norm",
    "use_bias": False,
    "gated_feed_forward": True,
    "position_type": "rotary",
    "relative_distance": 9,
    "relative_buckets": 8,
    "rotary_base": 500.0,
    "rotary_scaling": 2.0,
    "scaled_attention": False,
}


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "intermediate"),
    [
        ("bert-tiny", 2, 128, 2, 512),
        ("bert-mini", 4, 256, 4, 1024),
        ("bert-small", 4, 512, 8, 2048),
        ("bert-medium", 8, 512, 8, 2048),
        ("bert-base", 12, 768, 12, 3072),
        ("bert-large", 24, 1024, 16, 4096),
    ],
)
def test_published_sizes(name, layers, hidden, heads, intermediate):
    config = BertConfig.named(name)
    assert (config.num_hidden_layers, config.hidden_size) == (layers, hidden)
    assert (config.num_attention_heads, config.intermediate_size) == (heads, intermediate)
    assert (config.vocab_size, config.max_position_embeddings, config.type_vocab_size) == (30522, 512, 2)


def test_base_is_the_default_and_overrides_apply():
    assert BertConfig.named("bert-base") == BertConfig()
    assert BertConfig.named("bert-tiny", vocab_size=99).vocab_size == 99


def test_frozen_keyword_only_and_hashable():
    config = BertConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.hidden_size = 1
    with pytest.raises(TypeError):
        BertConfig(30522)
    assert len({config, BertConfig()}) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[
            (field, value)
            for field in (
                "vocab_size",
                "hidden_size",
                "num_hidden_layers",
                "num_attention_heads",
                "intermediate_size",
                "max_position_embeddings",
                "type_vocab_size",
            )
            for value in (0, -1, 1.5, 12.0, "12", None, True, float("nan"))
        ],
        *[
            (field, value)
            for field in ("hidden_dropout_prob", "attention_probs_dropout_prob")
            for value in (-0.1, 1, 1.5, float("nan"), float("inf"), "0.1", None, True)
        ],
        *[
            (field, value)
            for field in ("initializer_range", "layer_norm_eps")
            for value in (0, -1e-12, float("nan"), float("inf"), "1e-12", None)
        ],
        *[("norm_placement", value) for value in ("middle", None)],
        *[("norm_type", value) for value in ("batch_norm", 3)],
        *[("initialization", value) for value in ("zeros", 0.02)],
        *[(field, value) for field in ("use_bias", "scaled_attention") for value in ("no", 1, None)],
        *[("hidden_act", value) for value in ("gelu", "no_such", "", None, 3, ["relu"])],
    ],
)
def test_an_invalid_value_is_refused_with_rule_value_and_fix(field, value):
    with pytest.raises(BadInputError) as error:
        BertConfig(**{field: value})
    message = str(error.value)
    assert f"`{field}` must" in message
    assert f"Received: {field}={value!r}" in message
    assert message.endswith(".")
    assert len(message.split(". ")) >= 3  # rule, received, fix


def test_hidden_size_must_be_divisible_by_heads():
    with pytest.raises(BadInputError, match=r"divisible .* Received: hidden_size=10, num_attention_heads=3"):
        BertConfig(hidden_size=10, num_attention_heads=3)


def test_numpy_numbers_become_plain_ones():
    numpy = pytest.importorskip("numpy")
    config = BertConfig(hidden_size=numpy.int64(24), layer_norm_eps=numpy.float32(1e-5))
    assert type(config.hidden_size) is int
    assert type(config.layer_norm_eps) is float
    json.dumps(config.to_dict())


def test_replace_and_named_refuse_unknown_names():
    with pytest.raises(BadInputError, match=r"Received: \['hiden_size'\]"):
        BertConfig().replace(hiden_size=2)
    with pytest.raises(BadInputError, match=r"bert-tiny.*Received: name='bert-huge'"):
        BertConfig.named("bert-huge")
    with pytest.raises(BadInputError, match="vocabulary_size"):
        BertConfig.named("bert-tiny", vocabulary_size=3)


def test_gelu_means_tanh_at_google_and_erf_at_hugging_face():
    assert BertConfig.from_json({**_BASE, "hidden_act": "gelu"}).hidden_act == "gelu_tanh"
    assert BertConfig.from_json({**_BASE, "hidden_act": "gelu", "model_type": "bert"}).hidden_act == "gelu_erf"
    for key in ("architectures", "transformers_version", "_name_or_path"):
        value = ["BertModel"] if key == "architectures" else "4.0"
        assert BertConfig.from_json({**_BASE, "hidden_act": "gelu", key: value}).hidden_act == "gelu_erf"
    for tanh in ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"):
        assert BertConfig.from_json({**_BASE, "hidden_act": tanh, "model_type": "bert"}).hidden_act == "gelu_tanh"
    assert BertConfig.from_json({**_BASE, "hidden_act": "gelu"}, dialect="hugging_face").hidden_act == "gelu_erf"


def test_missing_keys_have_the_defaults_of_the_dialect():
    google = BertConfig.from_json({"vocab_size": 9})
    assert (google.type_vocab_size, google.hidden_act) == (16, "gelu_tanh")
    hugging_face = BertConfig.from_json({"vocab_size": 9, "model_type": "bert"})
    assert (hugging_face.type_vocab_size, hugging_face.hidden_act) == (2, "gelu_erf")


@pytest.mark.parametrize("dialect", ["hugging_face", "google"])
@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf", "relu", "tanh"])
def test_json_round_trip(tmp_path, dialect, activation):
    config = BertConfig.named("bert-tiny", hidden_act=activation, layer_norm_eps=1e-5, type_vocab_size=3)
    path = tmp_path / "folder" / "config.json"
    text = config.to_json(path, dialect=dialect)
    assert path.read_text() == text
    for source in (path, str(path), text, json.loads(text)):
        assert BertConfig.from_json(source) == config


def test_written_configs_mean_the_same_to_their_readers():
    values = json.loads(BertConfig().to_json())
    assert values["model_type"] == "bert"
    assert values["hidden_act"] in ("gelu_new", "gelu_pytorch_tanh")
    assert json.loads(BertConfig(hidden_act="gelu_erf").to_json())["hidden_act"] == "gelu"
    google = json.loads(BertConfig().to_json(dialect="google"))
    assert google["hidden_act"] == "gelu"
    assert google.keys() == BertConfig().to_dict().keys() - {"layer_norm_eps", "initialization", *VARIANTS}
    # Google's reader would compute the tanh form for "gelu", and refuses what it does not know.
    assert json.loads(BertConfig(hidden_act="gelu_erf").to_json(dialect="google"))["hidden_act"] == "gelu_erf"


def test_an_activation_without_a_name_in_the_dialect_is_not_written(tmp_path):
    with pytest.raises(BadInputError, match=r"hidden_act='elu'"):
        BertConfig(hidden_act="elu").to_json(tmp_path / "config.json", dialect="hugging_face")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variant", [*({name: value} for name, value in VARIANTS.items()), {"hidden_act": "elu"}])
def test_variants_are_written_in_our_own_dialect_only(variant, tmp_path):
    config = BertConfig.named("bert-tiny", **variant)
    path = tmp_path / "config.json"
    assert BertConfig.from_json(config.to_json(path)) == BertConfig.from_json(path) == config
    assert json.loads(path.read_text())["model_type"] == "kerasbert"
    ((name, value),) = variant.items()
    for dialect in ("hugging_face", "google"):
        with pytest.raises(BadInputError, match=rf"Received: {name}={value!r}. Use the format 'kerasbert'"):
            config.to_json(tmp_path / "other.json", dialect=dialect)
    assert not (tmp_path / "other.json").exists()


def test_variants_are_read_from_a_config_in_any_dialect():
    assert BertConfig.from_json({**_BASE, **VARIANTS}).variants == VARIANTS
    assert BertConfig().variants == {}


@pytest.mark.parametrize("dialect", ["hugging_face", "google", "kerasbert"])
def test_the_initialization_is_kept_in_every_dialect(dialect):
    config = BertConfig.named("bert-tiny", initialization="fan_in")
    assert BertConfig.from_json(config.to_json(dialect=dialect)) == config


def test_hugging_face_reads_written_configs():
    transformers = pytest.importorskip("transformers", reason="transformers is in the newest environment only")
    theirs = transformers.BertConfig.from_dict(json.loads(BertConfig.named("bert-mini").to_json()))
    assert (theirs.hidden_size, theirs.num_hidden_layers, theirs.hidden_act) == (256, 4, "gelu_new")


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"model_type": "roberta"}, "model_type='roberta'"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "position_embedding_type='relative_key'"),
        ({"model_type": "bert", "is_decoder": True}, "is_decoder=True"),
        ({"architectures": ["DistilBertModel"]}, "architectures"),
        ({"embedding_size": 128}, "embedding_size=128"),
    ],
)
def test_other_architectures_are_refused(extra, named):
    with pytest.raises(BadInputError, match=named):
        BertConfig.from_json({**_BASE, **extra})


def test_an_activation_that_means_something_else_in_keras_is_refused():
    with pytest.raises(BadInputError, match="leaky_relu"):
        BertConfig.from_json({**_BASE, "model_type": "bert", "hidden_act": "leaky_relu"})


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{'a': 1}", b"\xff\xfe\x00", b'{"other": 1}', b"[" * 100_000])
def test_a_file_that_is_not_a_config_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"config\.json"):
        BertConfig.from_json(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(BadInputError, match=r"nothing\.json"):
        BertConfig.from_json(tmp_path / "nothing.json")
    with pytest.raises(BadInputError, match=tmp_path.name):
        BertConfig.from_json(tmp_path)


def test_an_invalid_value_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps({**_BASE, "hidden_size": 770}))
    with pytest.raises(BadInputError, match=r"bert_config\.json.*hidden_size=770, num_attention_heads=12"):
        BertConfig.from_json(path)


def test_unknown_dialect_is_refused():
    for call in (lambda: BertConfig.from_json({**_BASE}, dialect="tf"), lambda: BertConfig().to_json(dialect="tf")):
        with pytest.raises(BadInputError, match=r"dialect='tf'"):
            call()


def test_importing_the_config_loads_no_keras():
    code = "import sys, kerasbert.config; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
