"""Checkpoints that differ from the usual form in ways that change nothing load, and come back unchanged."""

import json
import shutil

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert.checkpoints import convert, load, load_backbone, save
from kerasbert.checkpoints.wrapped_names import unwrapped_names
from kerasbert.errors import BadInputError
from kerasbert.recipes.embedding import embed, load_sentence_encoder

EMBEDDING = "embeddings.word_embeddings.weight"


def is_of_encoder(name):
    return name.startswith(("embeddings.", "encoder.", "pooler."))


def vectors(folder):
    return next(embed(load_sentence_encoder(folder), ["the dogs playing!"]))


def pad_rows(folder, count=5, vocab_size=None):
    """Adds rows to the word embedding, and to the output bias if there is one, with large numbers in them."""
    arrays = load_file(folder / "model.safetensors")
    for name, array in arrays.items():
        if name.removeprefix("bert.") in (EMBEDDING, "cls.predictions.bias"):
            arrays[name] = np.concatenate([array, np.full((count, *array.shape[1:]), 50, array.dtype)])
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "vocab_size": vocab_size or 14 + count}))


@pytest.mark.parametrize("vocab_size", [None, 14, 30522])
def test_rows_after_the_last_piece_are_kept_and_never_used(vocab_size, saved, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("kerasbert.checkpoints.loading._LOGGED", set())
    folder = saved(preprocessing=True)
    before = vectors(folder)
    pad_rows(folder, vocab_size=vocab_size)
    np.testing.assert_array_equal(vectors(folder), before)
    loaded = load(folder)
    assert loaded.config.vocab_size == 19
    note = "The word embedding has 19 rows, the vocabulary 14 pieces. The last 5 rows are kept and never used."
    assert loaded.notes[-1] == note
    convert(folder, tmp_path / "google", "google_tf1")
    convert(tmp_path / "google", tmp_path / "back")
    one, other = load_file(folder / "model.safetensors"), load_file(tmp_path / "back/model.safetensors")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)
    np.testing.assert_array_equal(vectors(tmp_path / "google"), before)
    assert sum(note in record.getMessage() for record in caplog.records) == 1
    assert (tmp_path / "back/vocab.txt").read_bytes() == (folder / "vocab.txt").read_bytes()


def test_a_vocabulary_with_more_pieces_than_rows_is_refused_with_a_way_out(saved, edit_weights, edit_json):
    folder = saved(preprocessing=True)
    edit_weights(folder, lambda arrays: arrays.update({EMBEDDING: arrays[EMBEDDING][:13].copy()}))
    edit_json(folder / "config.json", vocab_size=13)
    for load_it in (load, load_backbone):
        with pytest.raises(BadInputError, match=r"14 pieces, vocab_size=13.*load\(folder, preprocessing=False\)"):
            load_it(folder)
        assert load_it(folder, preprocessing=False).config.vocab_size == 13


@pytest.mark.slow
def test_a_padded_masked_language_model_never_proposes_a_padded_row(saved, tmp_path):
    import tensorflow as tf

    from kerasbert import export

    folder = saved("pretrainer", preprocessing=True)
    pad_rows(folder)
    loaded = load(folder)
    exported = tmp_path / "exported"
    export.write(loaded.model, exported, loaded.text_to_inputs, warm_up=None)
    answers = tf.saved_model.load(str(exported)).signatures["serving_default"](text=tf.constant(["the [MASK]!"]))
    pieces = set(loaded.text_to_inputs.vocabulary.pieces)
    proposed = {piece.decode() for piece in answers["pieces"].numpy().ravel()}
    assert proposed <= pieces
    assert answers["probabilities"].numpy().sum() > 0.3  # the large numbers of padded rows leave nothing to the others


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "text_tower.net.", "bert."])
@pytest.mark.parametrize("kind", ["backbone", "single label"])
def test_a_prefix_of_all_names_is_removed_and_reported(
    prefix, kind, saved, edit_weights, make_model, assert_same_weights
):
    folder = saved(kind)

    def rename(arrays):
        renamed = {prefix + name: array for name, array in arrays.items()}
        arrays.clear()
        arrays.update(renamed)

    edit_weights(folder, rename)
    loaded = load(folder)
    assert_same_weights(loaded.model, make_model(kind))
    if prefix == "bert." and kind == "backbone":  # the usual name
        assert loaded.notes == ()
    else:
        assert loaded.notes[0].startswith("The names of the weights are read without '")
        assert f"{prefix.split('.')[-2]}." in loaded.notes[0]
    again = save(loaded.model, folder.parent / "again")
    assert not any(name.startswith(prefix) for name in load_file(again / "model.safetensors")) or prefix == "bert."


def test_wrappers_inside_a_name_are_removed(saved, edit_weights, make_model, assert_same_weights):
    folder = saved()

    def rename(arrays):
        renamed = {name.replace("layer.1.", "layer.1._checkpoint_wrapped_module."): a for name, a in arrays.items()}
        arrays.clear()
        arrays.update(renamed)

    edit_weights(folder, rename)
    assert_same_weights(load(folder).model, make_model("backbone"))


def test_an_encoder_inside_another_model_is_taken_out(saved, edit_weights, make_model, assert_same_weights):
    folder = saved()

    def rename(arrays):
        renamed = {f"tower.{name}": array for name, array in arrays.items()}
        arrays.clear()
        arrays.update({**renamed, "head.weight": np.ones((2, 8), "float32")})

    edit_weights(folder, rename)
    with pytest.raises(BadInputError, match=r"head\.weight"):
        load(folder)
    loaded = load_backbone(folder)
    assert_same_weights(loaded.model, make_model("backbone"))
    assert loaded.dropped == ("head.weight",)


def test_two_encoders_in_one_file_are_refused():
    names = [f"{tower}.bert.{EMBEDDING}" for tower in ("query", "passage")]
    with pytest.raises(BadInputError, match=r"2 encoders, whose names begin with 'passage\.', 'query\.'"):
        unwrapped_names(names, "hugging_face", "model.safetensors")
    names = [f"module/{name}" for name in ("bert/embeddings/word_embeddings", "output_bias")]
    plain, removed = unwrapped_names(names, "google_tf1", "bert_model.ckpt")
    assert [*plain.values(), *removed] == ["bert/embeddings/word_embeddings", "output_bias", "module/"]


def remove(edit_weights, folder, *starts):
    def change(arrays):
        for name in [name for name in arrays if name.removeprefix("bert.").startswith(starts)]:
            del arrays[name]

    edit_weights(folder, change)


@pytest.mark.parametrize("format", ["hugging_face", "google_tf1"])
@pytest.mark.parametrize(
    ("kind", "starts", "model"),
    [
        ("backbone", ("pooler.",), "BertBackbone"),
        ("tokens", ("pooler.",), "BertTokenClassifier"),
        ("tokens", ("classifier.",), "BertBackbone"),
        ("spans", ("pooler.",), "BertSpanPredictor"),
        ("single label", ("classifier.",), "BertBackbone"),
        ("pretrainer", ("cls.", "pooler."), "BertBackbone"),
        ("pretrainer", ("cls.seq_relationship", "pooler."), "BertPretrainer"),
        ("pretrainer", ("cls.predictions",), "BertPretrainer"),
        ("sentences", ("pooler.",), "BertSentenceEncoder"),
        ("sentences", (), "BertSentenceEncoder"),
    ],
)
def test_missing_parts_stay_missing(format, kind, starts, model, saved, edit_weights, tmp_path):
    folder = saved(kind, preprocessing=True)
    whole = vectors(folder)
    if starts:
        remove(edit_weights, folder, *starts)
    assert type(load(folder).model).__name__ == model
    np.testing.assert_array_equal(vectors(folder), whole)
    if format == "google_tf1" and model == "BertTokenClassifier":  # google-research/bert has no such model
        return
    convert(folder, tmp_path / "there", format)
    convert(tmp_path / "there", tmp_path / "back")

    def names(place):
        return {name.removeprefix("bert.") for name in load_file(place / "model.safetensors")}

    assert names(tmp_path / "back") == names(folder)


def test_embedding_needs_no_pooler_that_only_the_head_uses(saved, edit_weights):
    folder = saved("single label", preprocessing=True)
    whole = vectors(folder)
    remove(edit_weights, folder, "pooler.")
    with pytest.raises(BadInputError, match=r"Missing: pooler\.dense\.weight"):
        load(folder)
    np.testing.assert_array_equal(vectors(folder), whole)


KERAS_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
HEADS = {"cls.predictions": "mlm___cls.predictions", "cls.seq_relationship": "nsp___cls.seq_relationship"}


@pytest.mark.parametrize("kind", ["backbone", "pretrainer", "single label", "tokens", "spans"])
def test_tf_model_h5_is_read(kind, saved, make_model, assert_same_weights):
    folder = saved(kind)
    with h5py.File(folder / "tf_model.h5", "w") as file:
        for name, array in load_file(folder / "model.safetensors").items():
            for theirs, keras in {**KERAS_NAMES, **HEADS}.items():
                name = name.replace(theirs, keras)
            name = name if name.startswith(("bert.", "mlm", "nsp", "classifier", "qa_")) else f"bert.{name}"
            is_kernel = name.endswith(".weight") and array.ndim == 2 and "embeddings." not in name
            name = name.removesuffix("weight") + "kernel" if is_kernel else name
            name = name.replace("position_embeddings.weight", "position_embeddings.embeddings")
            path = name.replace("layer.", "layer_._").replace(".", "/").replace("/_", "._")
            path = path.replace("layer_._", "layer_._")
            file[f"{path.split('/')[0]}/tf_bert/{path}:0"] = array.T if is_kernel else array
    (folder / "model.safetensors").unlink()
    loaded = load(folder)
    assert_same_weights(loaded.model, make_model(kind))
    assert loaded.source_format == "hugging_face"


def test_a_folder_of_square_brackets_works_in_every_layout(saved, tmp_path, text_to_inputs):
    source = saved(preprocessing=True)
    for format in ("hugging_face", "google_tf1"):
        folder = tmp_path / f"lr=[0.001] {format} *?ä#%"
        convert(source, folder, format)
        np.testing.assert_array_equal(vectors(folder), vectors(source))
    for file in folder.glob("bert_model.ckpt*"):
        file.rename(folder / file.name.replace("bert_model", "bert[1]"))
    np.testing.assert_array_equal(vectors(folder), vectors(source))
    shutil.copytree(folder, tmp_path / "plain")
    np.testing.assert_array_equal(vectors(tmp_path / "plain" / "bert[1].ckpt"), vectors(source))


@pytest.mark.parametrize("format", ["hugging_face", "google_tf1"])
def test_blank_and_repeated_lines_of_a_vocabulary_are_ids(format, saved, edit_weights, edit_json, tmp_path):
    folder = saved(preprocessing=True)
    before = vectors(folder)
    (folder / "preprocessing.json").unlink()
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").split()
    lines = [*pieces[:5], "play", "", " ", "\u3000", "\u2028", "\u00a0", *pieces[5:]]
    content = "".join(f"{line}\r\n" for line in lines).encode()
    (folder / "vocab.txt").write_bytes(content)
    edit_weights(folder, lambda arrays: arrays.update({EMBEDDING: np.insert(arrays[EMBEDDING], [5] * 6, 50, axis=0)}))
    edit_json(folder / "config.json", vocab_size=20)
    np.testing.assert_array_equal(vectors(folder), before)
    assert load(folder).notes == ()
    convert(folder, tmp_path / "there", format)
    assert (tmp_path / "there/vocab.txt").read_bytes() == content
    np.testing.assert_array_equal(vectors(tmp_path / "there"), before)


def test_ids_without_a_piece_stay_free(saved, edit_json, tmp_path):
    folder = saved(preprocessing=True)
    (folder / "preprocessing.json").unlink()
    pad_rows(folder, count=6)
    edit_json(folder / "added_tokens.json", **{"<name>": 17})
    loaded = load(folder)
    assert loaded.text_to_inputs.vocabulary.pieces[14:] == ("", "", "", "<name>")
    assert loaded.text_to_inputs(["play<name>"])["token_ids"].numpy().tolist() == [[2, 5, 17, 3]]
    again = load(save(loaded.model, tmp_path / "again", loaded.text_to_inputs))
    assert again.text_to_inputs(["play<name>"])["token_ids"].numpy().tolist() == [[2, 5, 17, 3]]
