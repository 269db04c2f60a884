"""Every key that changes what a model computes has its effect or is refused: none is ignored."""

import copy
import importlib.util
import json

import pytest

from kerasbert.checkpoints import save
from kerasbert.checkpoints import setting_tables as tables
from kerasbert.checkpoints.loading import read
from kerasbert.errors import BadInputError

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 13,
    "hidden_act": "relu",
    "hidden_dropout_prob": 0.3,
    "attention_probs_dropout_prob": 0.3,
    "max_position_embeddings": 11,
    "type_vocab_size": 2,
    "initializer_range": 0.5,
    "layer_norm_eps": 0.1,
    "initialization": "fan_in",
}
VARIANTS = {
    "norm_placement": "deepnorm",
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
TASK = {
    "num_labels": 4,
    "id2label": {"0": "x", "1": "y", "2": "z"},
    "problem_type": "multi_label_classification",
    "classifier_dropout": 0.7,
    "sentence_transformers.activation_fn": "torch.nn.modules.activation.Sigmoid",
    "sbert_ce_default_activation_function": "torch.nn.Sigmoid",
}
ARCHITECTURE = {
    "model_type": "roberta",
    "position_embedding_type": "relative_key",
    "is_decoder": True,
    "add_cross_attention": True,
    "embedding_size": 4,
}
SPECIAL = {f"{name}_token": "<s>" for name in ("pad", "unk", "cls", "sep", "mask")}
DECODER = {"13": {"content": "é", "special": True}}
# Table -> the kind of model, the layout, the file, and for each key a value with another meaning than that in the file.
CHANGES = {
    "HUGGING_FACE_CONFIG": (
        *("single label", "hugging_face", "config.json"),
        {
            **SIZES,
            **VARIANTS,
            **TASK,
            **ARCHITECTURE,
            "architectures": ["BertForTokenClassification"],
            "pruned_heads": {"0": [1]},
            "quantization_config": {"load_in_8bit": True},
            "use_relative_position": True,
            "auto_map.AutoConfig": "configuration_bert.JinaBertConfig",
            "auto_map.AutoModel": "modeling_bert.JinaBertModel",
        },
    ),
    "HUGGING_FACE_HEADS": (
        *("single label", "hugging_face", "config.json"),
        {
            **{
                f"auto_map.AutoModelFor{task}": "modeling.Model"
                for task in ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MaskedLM")
            },
        },
    ),
    "GOOGLE_CONFIG": (
        *("single label", "google_tf1", "bert_config.json"),
        {**SIZES, **VARIANTS, **TASK, **ARCHITECTURE, "use_relative_position": True},
    ),
    "TOKENIZER_CONFIG": (
        *("backbone", "hugging_face", "tokenizer_config.json"),
        {
            "tokenizer_class": "BertJapaneseTokenizer",
            "do_lower_case": False,
            "strip_accents": True,
            "tokenize_chinese_chars": False,
            "do_basic_tokenize": False,
            "model_max_length": 5,
            "added_tokens_decoder": DECODER,
            "additional_special_tokens": ["é"],
            "extra_special_tokens": {"name": "é"},
            "never_split": ["dog"],
            "clean_text": False,
            "wordpieces_prefix": "@@",
            "split_special_tokens": True,
            "padding_side": "left",
            "truncation_side": "left",
            "model_input_names": ["input_ids", "token_type_ids"],
            **SPECIAL,
        },
    ),
    "SPECIAL_TOKENS_MAP": (
        *("backbone", "hugging_face", "special_tokens_map.json"),
        {**SPECIAL, "additional_special_tokens": ["é"], "extra_special_tokens": ["é"]},
    ),
    "TOKENIZER_JSON": (
        *("backbone", "hugging_face", "tokenizer.json"),
        {
            "model.vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "cat": 5},
            "model.max_input_chars_per_word": 50,
            "added_tokens": [{"id": 13, "content": "é", "special": True}],
            "normalizer.lowercase": False,
            "normalizer.strip_accents": True,
            "normalizer.handle_chinese_chars": False,
            "normalizer": None,
            "normalizer.clean_text": False,
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "truncation.direction": "Left",
            "padding.direction": "Left",
            "model.type": "BPE",
            "model.unk_token": "<unk>",
            "model.continuing_subword_prefix": "@@",
        },
    ),
    "SENTENCE_BERT_CONFIG": (
        *("sentences", "hugging_face", "sentence_bert_config.json"),
        {"max_seq_length": 5, "do_lower_case": True},
    ),
    "SENTENCE_BERT_MODEL": (
        *("sentences", "hugging_face", "sentence_bert_config.json"),
        {
            "transformer_task": "fill-mask",
            "module_output_name": "sentence_embedding",
            **{f"{name}_args": {"x": 1} for name in ("model", "config", "tokenizer")},
            **{f"{name}_kwargs": {"x": 1} for name in ("model", "config", "processor")},
        },
    ),
    "SENTENCE_PROMPTS": (
        *("sentences", "hugging_face", "config_sentence_transformers.json"),
        {
            "prompts": {"query": "question: "},
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
            "model_type": "SparseEncoder",
            "truncate_dim": 4,
        },
    ),
    "SENTENCE_POOLING": (
        *("sentences", "hugging_face", "1_Pooling/config.json"),
        {
            "pooling_mode": "lasttoken",
            "include_prompt": False,
            **{
                f"pooling_mode_{name}": True
                for name in ("cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
            },
        },
    ),
    "SENTENCE_DENSE": (
        *("projected sentences", "hugging_face", "2_Dense/config.json"),
        {
            "in_features": 3,
            "out_features": 7,
            "bias": False,
            "activation_function": "torch.nn.modules.activation.ReLU",
            "use_residual": True,
            "module_input_name": "token_embeddings",
            "module_output_name": "token_embeddings",
        },
    ),
    "SENTENCE_NORMALIZE": (
        *("sentences", "hugging_face", "2_Normalize/config.json"),
        {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"},
    ),
    "KERAS_HUB_CONFIG": (
        *("backbone", "keras_hub", "config.json"),
        {
            "class_name": "RobertaBackbone",
            "config.vocabulary_size": 20,
            "config.num_layers": 3,
            "config.num_heads": 4,
            "config.hidden_dim": 16,
            "config.intermediate_dim": 13,
            "config.dropout": 0.3,
            "config.max_sequence_length": 11,
            "config.num_segments": 2,
            "initializer_range": 0.5,
        },
    ),
    "KERAS_HUB_TOKENIZER": (
        *("backbone", "keras_hub", "tokenizer.json"),
        {
            "class_name": "BytePairTokenizer",
            "config.lowercase": False,
            "config.strip_accents": True,
            "config.split": False,
            "config.split_on_cjk": False,
            "config.suffix_indicator": "@@",
            "config.oov_token": "<unk>",
            "config.special_tokens_in_strings": True,
        },
    ),
    "KERAS_HUB_PREPROCESSOR": (
        *("backbone", "keras_hub", "preprocessor.json"),
        {"config.sequence_length": 5, "config.truncate": "waterfall"},
    ),
}
# Keys that other tests change.
ELSEWHERE = {
    ("GOOGLE_CONFIG", "sentence_encoder"),
    ("HUGGING_FACE_HEADS", "tie_word_embeddings"),
    ("SENTENCE_POOLING", "pooling_mode_mean_tokens"),  # the mean is also the default
}
TOKENIZER_JSON = {
    "added_tokens": [],
    "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": False, "handle_chinese_chars": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 3]},
    "truncation": {"direction": "Right", "max_length": 5},
    "model": {"type": "WordPiece", "max_input_chars_per_word": 100},
}
PROMPTS = {"prompts": {"query": "query: "}, "default_prompt_name": None, "similarity_fn_name": "cosine"}


def state(folder):
    """Everything that decides on the numbers, but for the weights themselves."""
    stored = read(folder)
    if stored.head_problem:
        raise BadInputError(stored.head_problem)
    preprocessing = stored.text_to_inputs and [stored.text_to_inputs.get_config(), stored.text_to_inputs.vocabulary]
    return stored.config, stored.task, stored.architecture, preprocessing


def state_or_refusal(folder):
    """The same, or the message with which the folder is refused."""
    try:
        return state(folder)
    except BadInputError as error:
        return str(error)


@pytest.fixture
def base(saved, make_model, config, text_to_inputs, tmp_path):
    """`base(kind, format)`: a folder in which the files of other libraries decide on everything."""

    def make(kind, format):
        if format == "keras_hub":
            in_tanh_form = config.replace(
                hidden_act="gelu_tanh", layer_norm_eps=1e-12, attention_probs_dropout_prob=config.hidden_dropout_prob
            )
            folder = save(make_model(kind, in_tanh_form), tmp_path / "preset", text_to_inputs, format=format)
        else:
            folder = saved(kind, preprocessing=True, format=format)
        (folder / "preprocessing.json").unlink()
        pieces = text_to_inputs.vocabulary.pieces
        if format == "hugging_face":
            values = copy.deepcopy(TOKENIZER_JSON)
            values["model"]["vocab"] = {piece: index for index, piece in enumerate(pieces)}
            (folder / "tokenizer.json").write_text(json.dumps(values))
        if kind == "sentences":
            (folder / "config_sentence_transformers.json").write_text(json.dumps(PROMPTS))
        return folder

    return make


def test_every_table_has_an_example_for_each_key():
    named = {name: value for name, value in vars(tables).items() if name.isupper() and not name.startswith("_")}
    assert named.keys() == CHANGES.keys()
    for name, (*_, changes) in CHANGES.items():
        keys = [setting.key for setting in named[name]]
        assert len(set(keys)) == len(keys)
        assert {*changes} == {key for key in keys if (name, key) not in ELSEWHERE}, name


@pytest.mark.parametrize("table", CHANGES)
def test_no_key_is_ignored(table, base):
    kind, format, name, changes = CHANGES[table]
    if format == "keras_hub" and importlib.util.find_spec("keras_hub") is None:
        pytest.skip("keras-hub is not installed")
    folder = base(kind, format)
    file = folder / name
    if table == "TOKENIZER_JSON":  # tokenizer_config.json and vocab.txt come first
        (folder / "tokenizer_config.json").unlink()
        (folder / "vocab.txt").unlink()
    content = file.read_text() if file.exists() else None
    before = state(folder)
    refused_keys = {setting.key for setting in vars(tables)[table] if setting.only}
    for key, value in changes.items():
        values = json.loads(content) if content else {}
        *place, last = key.split(".")
        inner = values
        for step in place:
            inner = inner.setdefault(step, {})
        inner[last] = value
        file.write_text(json.dumps(values))
        after = state_or_refusal(folder)
        assert after != before, key
        assert isinstance(after, str) >= (key in refused_keys), key
        if isinstance(after, str):
            assert str(folder) in after, key
            assert key not in refused_keys or (str(file) in after and f"`{key}`" in after), key
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
    assert state(folder) == before


def test_the_score_activation_of_a_cross_encoder_survives_a_round_trip(saved, edit_json, tmp_path):
    from kerasbert.checkpoints import convert, load

    folder = saved("regression")
    assert load(folder).model.activation is None
    for name, expected in (("linear.Identity", "linear"), ("activation.Sigmoid", "sigmoid")):
        for key, value in (
            ("sentence_transformers", {"activation_fn": f"torch.nn.modules.{name}", "version": "4.1.0"}),
            ("sbert_ce_default_activation_function", f"torch.nn.modules.{name}"),
        ):
            edit_json(folder / "config.json", **{key: value})
            assert load(folder).model.activation == expected
            convert(folder, tmp_path / "google", "google_tf1")
            convert(tmp_path / "google", tmp_path / "back")
            assert load(tmp_path / "back").model.activation == expected
            edit_json(folder / "config.json", **{key: None})
    edit_json(folder / "config.json", sentence_transformers={"activation_fn": "my.module.Activation"})
    with pytest.raises(BadInputError, match=r"`sentence_transformers\.activation_fn` must be one of torch"):
        load(folder)
