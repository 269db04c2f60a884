"""sentence-transformers folders: pooling, normalization and longest input are applied, other steps are refused, and
the encoder of any folder can be loaded. Dense steps: see test_sentence_transformers_dense.py."""

import json

import numpy as np
import pytest

from kerasbert.checkpoints import convert, load, load_backbone, save
from kerasbert.errors import BadInputError
from kerasbert.models import BertBackbone, BertSentenceEncoder
from kerasbert.recipes.embedding import load_sentence_encoder

# Our name -> the flags of older versions, the name of newer ones.
POOLINGS = {
    "mean": {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False},
    "cls": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "max": {"pooling_mode_max_tokens": True},
    "mean_sqrt_len": {"pooling_mode_mean_sqrt_len_tokens": True},
    "weighted_mean": {"pooling_mode_weightedmean_tokens": True, "pooling_mode_lasttoken": False},
    "last": {"pooling_mode_lasttoken": True, "include_prompt": True},
    ("cls", "max", "mean"): {
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": True,
        "pooling_mode_cls_token": True,
    },
}
NAMES = {"mean_sqrt_len": "mean_sqrt_len_tokens", "weighted_mean": "weightedmean", "last": "lasttoken"}


FIRST_FLAGS = ("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens")


@pytest.fixture
def folder(saved):
    return saved("sentences", preprocessing=True)


def write_steps(folder, *steps):
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(steps)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("mode", POOLINGS)
def test_the_pooling_is_applied(mode, folder):
    (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 8, **POOLINGS[mode]}))
    loaded = load(folder)
    assert isinstance(loaded.model, BertSentenceEncoder)
    assert (loaded.model.pooling, loaded.model.normalize) == (mode, True)
    write_steps(folder, ("Transformer", ""), ("Pooling", "1_Pooling"))
    assert load(folder).model.normalize is False
    names = [NAMES.get(name, name) for name in ([mode] if isinstance(mode, str) else mode)]
    for named in (names, names[0]) if len(names) == 1 else (names,):
        (folder / "1_Pooling/config.json").write_text(json.dumps({"embedding_dimension": 8, "pooling_mode": named}))
        assert load(folder).model.pooling == mode


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"word_embedding_dimension": 8}, "mean"),
        ({"pooling_mode_mean_tokens": False}, "mean"),
        ({"pooling_mode": ["lasttoken", "cls"]}, ("last", "cls")),
        ({"pooling_mode": "max", "pooling_mode_cls_token": True}, "max"),
    ],
)
def test_poolings_are_read_as_sentence_transformers_reads_them(config, pooling, folder):
    """Without any, it is the mean; a list has its own order; names are before flags."""
    (folder / "1_Pooling/config.json").write_text(json.dumps(config))
    assert load(folder).model.pooling == pooling


@pytest.mark.parametrize(
    ("pooling", "written"),
    [
        ("last", {**dict.fromkeys(FIRST_FLAGS, False), "pooling_mode_lasttoken": True}),
        (["max", "mean"], dict(zip(FIRST_FLAGS, (False, True, True), strict=True))),
        (
            ["mean", "weighted_mean"],
            {**dict(zip(FIRST_FLAGS, (False, True, False), strict=True)), "pooling_mode_weightedmean_tokens": True},
        ),
        (["mean", "max"], {"pooling_mode": ["mean", "max"]}),
        (["cls", "cls"], {"pooling_mode": ["cls", "cls"]}),
    ],
)
def test_poolings_are_written_as_flags_if_possible(pooling, written, config, tmp_path):
    model = BertSentenceEncoder(BertBackbone.from_config(config), pooling)
    folder = save(model, tmp_path / "model")
    assert json.loads((folder / "1_Pooling/config.json").read_text()) == {"word_embedding_dimension": 8, **written}
    assert load(folder).model.pooling == model.pooling


def test_the_same_files_as_sentence_transformers_are_written(folder):
    assert json.loads((folder / "1_Pooling/config.json").read_text()) == {
        "word_embedding_dimension": 8,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
    }
    assert [step["type"].rsplit(".")[-1] for step in json.loads((folder / "modules.json").read_text())] == [
        *("Transformer", "Pooling"),
        "Normalize",
    ]
    assert json.loads((folder / "sentence_bert_config.json").read_text()) == {
        "max_seq_length": 9,
        "do_lower_case": False,
    }


USAGES = {
    "prompts": {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": None},
    "an empty default prompt": {"prompts": {"document": ""}, "default_prompt_name": "document"},
    "similarity": {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "dot"},
    "nothing": {},
}


@pytest.mark.parametrize("format", ["hugging_face", "google_tf1"])
@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
def test_prompts_and_similarity_survive_a_round_trip(usage, format, folder, tmp_path):
    file = "config_sentence_transformers.json"
    if usage:
        (folder / file).write_text(json.dumps({"__version__": {"pytorch": "2.0"}, **usage}))
    convert(folder, tmp_path / "there", format)
    convert(tmp_path / "there", tmp_path / "back")
    if usage:
        written = json.loads((tmp_path / "back" / file).read_text())
        assert written == {"similarity_fn_name": None, **usage}
    else:
        assert not (tmp_path / "back" / file).exists()


def test_another_pooling_keeps_the_prompts(folder):
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "query: "}}')
    encoder = load_sentence_encoder(folder, "cls").model
    assert (encoder.pooling, encoder.prompts) == ("cls", {"query": "query: "})


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"prompts": {"query": 1}}, "`prompts` must be a dict of names and texts"),
        ({"prompts": {"query": "q"}, "default_prompt_name": "query"}, "`default_prompt_name` must be None or"),
        ({"default_prompt_name": "query"}, "`default_prompt_name` must be None or"),
        ({"similarity": "jaccard"}, "`similarity` must be one of"),
    ],
)
def test_a_usage_that_is_not_computed_is_refused(arguments, rule, config):
    with pytest.raises(BadInputError, match=rule):
        BertSentenceEncoder(BertBackbone.from_config(config), **arguments)


def test_the_encoder_may_be_in_its_own_folder(folder):
    encoder = folder / "0_Transformer"
    encoder.mkdir()
    for file in [file for file in folder.iterdir() if file.is_file() and file.name != "modules.json"]:
        file.rename(encoder / file.name)
    write_steps(folder, ("Transformer", "0_Transformer"), ("Pooling", "1_Pooling"))
    assert load(folder).text_to_inputs.sequence_length == 9


def test_the_old_name_of_the_encoders_step_is_supported(folder):
    write_steps(folder, ("BERT", ""), ("Pooling", "1_Pooling"))
    assert load(folder).model.normalize is False


def test_longest_input_and_lower_case_are_applied(folder, edit_json):
    (folder / "preprocessing.json").unlink()
    edit_json(folder / "tokenizer_config.json", do_lower_case=False, strip_accents=None)
    edit_json(folder / "sentence_bert_config.json", max_seq_length=6)
    text_to_inputs = load(folder).text_to_inputs
    assert text_to_inputs.sequence_length == 6
    assert not text_to_inputs.tokenizer.lower_case
    edit_json(folder / "sentence_bert_config.json", do_lower_case=True)
    tokenizer = load(folder).text_to_inputs.tokenizer
    assert (tokenizer.lower_case, tokenizer.strip_accents) == (True, False)


def test_an_encoder_without_pooler_is_complete(folder, edit_weights):
    """The vector is made of hidden states, and many such encoders were saved without the pooler."""
    edit_weights(folder, lambda arrays: [arrays.pop(f"pooler.dense.{name}") for name in ("weight", "bias")])
    loaded = load(folder)
    assert loaded.absent == ("pooler",)
    assert not np.any(loaded.model.backbone.pooler.kernel.numpy())


OTHER_STEPS = {
    "no pooling": [("Transformer", "")],
    "normalized before a dense": [
        *[("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"), ("Dense", "3_Dense")]
    ],
    "normalized twice": [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2"), ("Normalize", "3")],
    "layer norm": [("Transformer", ""), ("Pooling", "1_Pooling"), ("LayerNorm", "2_LayerNorm")],
    "dense on tokens": [("Transformer", ""), ("Dense", "1_Dense")],
    "dropout on tokens": [("Transformer", ""), ("Dropout", "1_Dropout"), ("Pooling", "2_Pooling")],
    "splade": [("MLMTransformer", ""), ("SpladePooling", "1_SpladePooling")],
    "words counted before": [("BoW", "0_BoW"), ("Transformer", ""), ("Pooling", "1_Pooling")],
}


@pytest.mark.parametrize("case", OTHER_STEPS)
def test_other_steps_are_refused_unless_only_the_encoder_is_loaded(
    case, folder, edit_json, make_model, assert_same_weights
):
    write_steps(folder, *OTHER_STEPS[case])
    kinds = ", ".join(kind for kind, _ in OTHER_STEPS[case])
    with pytest.raises(
        BadInputError, match=rf"modules\.json: the steps must be.*Received: {kinds}\. .*with `load_backbone`"
    ):
        load(folder)
    (folder / "preprocessing.json").unlink()
    edit_json(folder / "sentence_bert_config.json", max_seq_length=6, do_lower_case=True)
    edit_json(folder / "tokenizer_config.json", do_lower_case=False)
    loaded = load_backbone(folder)
    assert isinstance(loaded.model, BertBackbone)
    assert_same_weights(loaded.model, make_model("sentences").backbone)
    assert loaded.text_to_inputs.sequence_length == 6
    assert loaded.text_to_inputs.tokenizer.lower_case
    assert loaded.source_format == "sentence_transformers"


@pytest.mark.parametrize("steps", [[], [("WordEmbeddings", ""), ("Pooling", "1_Pooling")]])
def test_a_folder_without_encoder_is_refused(steps, folder):
    write_steps(folder, *steps)
    for load_it in (load, load_backbone):
        with pytest.raises(BadInputError, match=r"modules\.json: a step must be one of Transformer, BERT"):
            load_it(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"pooling_mode_attention": True},
        {"pooling_mode_attention": True, **POOLINGS["max"]},
        {"pooling_mode": 5},
        {"pooling_mode": "sum"},
        {"pooling_mode": []},
        {"pooling_mode": ["cls", "sum"]},
        {"pooling_mode": ["cls", ["mean"]]},
    ],
)
def test_other_poolings_are_refused_unless_only_the_encoder_is_loaded(config, folder):
    (folder / "1_Pooling/config.json").write_text(json.dumps(config))
    with pytest.raises(BadInputError, match=r"1_Pooling/config\.json: the pooling must be one of.*`load_backbone`"):
        load(folder)
    assert isinstance(load_backbone(folder).model, BertBackbone)


def test_a_pooling_that_leaves_out_prompts_is_refused(folder):
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode": "mean", "include_prompt": false}')
    with pytest.raises(BadInputError, match=r"1_Pooling/config\.json: `include_prompt` must be True.*`load_backbone`"):
        load(folder)


def test_a_step_of_another_package_is_refused_by_its_whole_name(folder):
    """Its class may compute anything."""
    text = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(text.replace("sentence_transformers.models.Pooling", "custom_st.Pooling"))
    with pytest.raises(BadInputError, match=r"Received: Transformer, custom_st\.Pooling, Normalize\."):
        load(folder)


def test_a_normalization_of_something_else_is_refused(folder):
    config = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    (folder / "2_Normalize/config.json").write_text(json.dumps(config))
    assert load(folder).model.normalize
    (folder / "2_Normalize/config.json").write_text('{"module_input_name": "token_embeddings"}')
    with pytest.raises(BadInputError, match=r"2_Normalize/config\.json: `module_input_name` must be 'sentence_embed"):
        load(folder)


@pytest.mark.parametrize(("length", "taken"), [(8.0, 8), (None, 10)])
def test_a_limit_may_be_written_as_a_fraction_or_be_missing(length, taken, folder):
    for name in ("preprocessing.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": length}))
    assert load(folder).text_to_inputs.sequence_length == taken


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"max_seq_length": "8"}, "`max_seq_length` must be a whole number of at least 3. Received: '8'"),
        ({"max_seq_length": 2}, "`max_seq_length` must be a whole number of at least 3. Received: 2"),
        ({"max_seq_length": 8.5}, "`max_seq_length` must be a whole number"),
        ({"max_seq_length": True}, "`max_seq_length` must be a whole number"),
        ({"do_lower_case": "false"}, "`do_lower_case` must be true or false. Received: 'false'"),
    ],
)
def test_settings_of_another_kind_are_refused_by_their_key(settings, rule, folder):
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    for load_it in (load, load_backbone):
        with pytest.raises(BadInputError, match=rf"sentence_bert_config\.json: {rule}.*preprocessing=False"):
            load_it(folder)
        assert load_it(folder, preprocessing=False).text_to_inputs is None


def test_broken_files_are_named(folder):
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": "true"}')
    with pytest.raises(
        BadInputError, match=r"1_Pooling/config\.json: `pooling_mode_mean_tokens` must be true or false"
    ):
        load(folder)
    (folder / "1_Pooling/config.json").unlink()
    with pytest.raises(BadInputError, match=r"1_Pooling/config\.json: the file must exist"):
        load(folder)
    (folder / "modules.json").write_text('{"0": "Transformer"}')
    with pytest.raises(BadInputError, match=r"modules\.json: the file must be a JSON list"):
        load(folder)
