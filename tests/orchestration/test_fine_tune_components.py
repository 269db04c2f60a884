"""The components of the fine-tuning pipeline, each tested alone."""

import gzip
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.components.example_gen.utils import FINGERPRINT_PROPERTY_NAME
from tfx.orchestration.portable.data_types import ExecutionInfo

from kerasbert.data import read_labelled
from kerasbert.errors import BadInputError
from kerasbert.export.version_folders import existing_versions
from kerasbert.preprocessing import TextToInputs
from kerasbert_tfx.components import data_check, labelled_schema_gen, skew_check
from kerasbert_tfx.components.document_examples import DocumentExamples
from kerasbert_tfx.components.labelled_example_gen import LabelledExampleGen, LabelledExampleGenExecutor
from kerasbert_tfx.components.model_pusher import push
from kerasbert_tfx.modules.model_folder import find_model
from kerasbert_tfx.modules.training_sample import SAMPLE_FILE, write_training_sample
from kerasbert_tfx.records.fingerprints import files_fingerprint, fingerprint
from kerasbert_tfx.records.input_files import folder_and_pattern
from kerasbert_tfx.records.labelled_reading import rows_of_file
from kerasbert_tfx.records.labelled_records import SINGLE_LABEL, Columns, read_rows, to_example
from kerasbert_tfx.records.pushed_versions import newest_version
from kerasbert_tfx.records.schema_checks import described, labels_of

from .labelled_tables import save_tiny_model, topic_rows, write_table

MULTI = "multi_label_classification"


def write_records(path: Path, examples: list[tf.train.Example]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = tf.io.TFRecordOptions("GZIP" if path.suffix == ".gz" else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    return path


def example_of(**features: Any) -> tf.train.Example:
    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name]
        if isinstance(values[0], bytes):
            feature.bytes_list.value[:] = values
        elif isinstance(values[0], int):
            feature.int64_list.value[:] = values
        else:
            feature.float_list.value[:] = values
    return example


# === Rows ===


def test_every_table_format_gives_the_same_rows(tmp_path: Path) -> None:
    rows = [('good, "quoted"\nand on two lines', "pos"), ("Größe 漢字", "neg"), ("", "neg")]
    write_table(tmp_path / "a.csv", ("text", "label"), rows)
    lines = [json.dumps({"label": label, "text": text}) for text, label in rows]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    records = [example_of(text=[text.encode()], label=[label.encode()], other=[1]) for text, label in rows]
    write_records(tmp_path / "a.tfrecord.gz", records)
    expected = [to_example(Columns(), [text], label) for text, label in rows]
    for name in ("a.csv", "a.jsonl.gz", "a.tfrecord.gz"):
        assert list(rows_of_file(str(tmp_path / name), Columns())) == expected, name


@pytest.mark.parametrize(
    ("task", "values", "expected"),
    [
        (MULTI, ["a;b", "", "b; b"], [("a", "b"), (), ("b",)]),
        ("regression", ["1", "-2.5", "0"], [1.0, -2.5, 0.0]),
        (SINGLE_LABEL, ["1", " x ", "0"], ["1", "x", "0"]),
    ],
)
def test_labels_are_unchanged_by_a_round_trip(
    tmp_path: Path, task: str, values: list[str], expected: list[Any]
) -> None:
    columns = Columns(text="one", pair="two", label="what", task=task)
    table = write_table(tmp_path / "a.tsv", ("one", "two", "what"), [("x", f"y{i}", v) for i, v in enumerate(values)])
    records = write_records(tmp_path / "split" / "a.gz", list(rows_of_file(str(table), columns)))
    rows = read_rows([str(records.parent / "*")], columns, "train")
    assert rows.labels == tuple(expected)
    assert rows.inputs == (("x",) * 3, ("y0", "y1", "y2"))
    assert rows.places[1] == "row 2 of the train split"
    assert rows.labels == read_labelled(table, "one", "what", "two", task).labels  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "task"),
    [
        ([(f"text {number}", "rare" if number == 8 else "ab"[number % 2]) for number in range(12)], SINGLE_LABEL),
        ([("one", "a"), ("two", "b"), ("three", "a")], SINGLE_LABEL),
        ([(f"text {number}", "a;rare" if number == 4 else "a;b") for number in range(20)], MULTI),
        ([(f"text {number % 5}", str(number)) for number in range(20)], "regression"),
    ],
)
def test_the_splits_equal_those_of_the_command(tmp_path: Path, rows: list[tuple[str, str]], task: str) -> None:
    table = write_table(tmp_path / "rows" / "a.csv", ("text", "label"), rows)
    shares = {"train": 0.8, "eval": 0.1, "test": 0.1}
    columns = Columns(task=task)
    generated = generate(tmp_path / "examples", table.parent, columns, shares)
    expected = read_labelled(table, problem_type=task).split(shares)  # type: ignore[arg-type]
    for split, part in expected.items():
        assert sorted(generated[split].texts) == sorted(part.texts)
        assert len(part) > 0
    if task != "regression":
        assert set(generated["train"].label_names()) == set(read_labelled(table, problem_type=task).label_names())  # type: ignore[arg-type]


def test_tables_are_read_with_the_format_in_the_settings(tmp_path: Path) -> None:
    rows = [(f"Größe {number}; und", "ab"[number % 2]) for number in range(30)]
    (tmp_path / "rows").mkdir()
    text = "".join(f"{label}|{text}\n" for text, label in rows)
    (tmp_path / "rows" / "a.csv").write_bytes(text.encode("cp1252"))
    columns = Columns(text="2", label="1", delimiter="pipe", encoding="cp1252", has_header=False)
    generated = generate(tmp_path / "examples", tmp_path / "rows", columns, {"train": 0.9, "eval": 0.1})
    found = [pair for part in generated.values() for pair in zip(part.texts, part.labels or (), strict=True)]
    assert sorted(found) == sorted(rows)


def generate(folder: Path, data: Path, columns: Columns, shares: dict[str, float]) -> dict[str, Any]:
    """Returns the rows of each split that the component writes."""
    component = LabelledExampleGen(*folder_and_pattern(str(data)), columns, shares)
    examples = component.outputs["examples"].type()
    examples.uri = str(folder)
    properties = {name: value for name, value in component.exec_properties.items() if value is not None}
    LabelledExampleGenExecutor(LabelledExampleGenExecutor.Context()).Do({}, {"examples": [examples]}, properties)
    return {split: read_rows([f"{folder}/Split-{split}/*"], columns, split) for split in shares}


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([example_of(text=[b"x"], category=[b"y"])], "without 'label'. It has: category, text"),
        ([example_of(text=[b"x"], label=[b"a", b"b"])], "must have one label"),
        ([example_of(text=[b"x", b"y"], label=[b"a"])], "must contain one text"),
        ([example_of(text=[3], label=[b"a"])], "must contain one text"),
        ([], "at least one record"),
    ],
)
def test_invalid_records_are_rejected(tmp_path: Path, records: list[tf.train.Example], words: str) -> None:
    path = write_records(tmp_path / "a.tfrecord", records)
    with pytest.raises(BadInputError, match="Received: ") as error:
        list(rows_of_file(str(path), Columns()))
    assert words in str(error.value)
    assert not records or "record 1 of" in str(error.value)


def test_numbers_in_records_are_read_as_labels_and_scores(tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.tfrecord", [example_of(text=[b"x"], label=[3])])
    assert next(rows_of_file(str(path), Columns())).features.feature["label"].bytes_list.value[0] == b"3"
    score = next(rows_of_file(str(path), Columns(task="regression")))
    assert score.features.feature["label"].float_list.value[0] == 3.0


def test_a_truncated_record_file_is_named(tmp_path: Path) -> None:
    path = write_records(tmp_path / "a.tfrecord", [example_of(text=[b"x" * 100], label=[b"a"])])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadInputError, match="must be complete"):
        list(rows_of_file(str(path), Columns()))


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"train": 1.5, "eval": -0.5}, {}])
def test_shares_that_do_not_sum_to_one_are_rejected(shares: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="must sum to 1"):
        LabelledExampleGen("folder", "*", Columns(), shares)


def test_a_column_can_have_only_one_role() -> None:
    with pytest.raises(BadInputError, match="different columns"):
        Columns(text="text", label="text")


# === Caching ===


def driven(component: Any) -> Any:
    """Returns the fingerprint that the component's driver adds to the cache key."""
    outputs = {key: [channel.type()] for key, channel in component.outputs.items()}
    properties = {name: value for name, value in component.exec_properties.items() if value is not None}
    said = component.DRIVER_CLASS(None).run(ExecutionInfo(exec_properties=properties, output_dict=outputs))
    (examples,) = said.output_artifacts["examples"].artifacts
    fingerprint = said.exec_properties[FINGERPRINT_PROPERTY_NAME].string_value
    # The cache key contains the output's properties too.
    assert examples.custom_properties[FINGERPRINT_PROPERTY_NAME].string_value == fingerprint
    return fingerprint


@pytest.mark.parametrize(
    "make",
    [
        lambda data: LabelledExampleGen(*folder_and_pattern(str(data)), Columns(), {"train": 1.0}),
        lambda data: DocumentExamples(str(data), 0.1, "text"),
    ],
)
def test_fingerprints_depend_on_content_and_name_but_not_on_times(tmp_path: Path, make: Any) -> None:
    data = tmp_path / "v1.2"
    file = write_table(data / "sub" / "a.csv", ("text", "label"), [("the dog", "x")])
    before = driven(make(data))
    stat = file.stat()
    content = file.read_bytes()
    file.write_bytes(content.replace(b"dog", b"cat"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert driven(make(data)) != before
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))
    (data / ".hidden.csv").write_text("no row")
    assert driven(make(data)) == before
    shutil.move(file, file.with_suffix(".tsv"))
    assert driven(make(data)) != before


def test_missing_rows_are_rejected_before_anything_runs(tmp_path: Path) -> None:
    for name in ("rows.csv", "rows", "*.csv"):
        with pytest.raises(BadInputError, match="There must be files with rows"):
            driven(LabelledExampleGen(*folder_and_pattern(str(tmp_path / name)), Columns(), {"train": 1.0}))


def test_the_fingerprint_of_a_remote_file_depends_on_size_and_time(tmp_path: Path) -> None:
    uri = f"ram://{tmp_path.name}/a.csv"
    found = []
    for content in ("text,label\nx,y\n", "text,label\nx,yy\n"):
        with tf.io.gfile.GFile(uri, "w") as stream:
            stream.write(content)
        found.append(files_fingerprint([uri]))
    assert found[0] != found[1] == files_fingerprint([uri])


# === Schema and checks ===


def statistics_of(labels: list[str], text: str = "same text") -> Any:
    """Returns TensorFlow Data Validation's statistics of rows with these labels."""
    import pandas

    options = tfdv.StatsOptions(num_top_values=1000, num_rank_histogram_buckets=1000)
    frame = pandas.DataFrame({"text": [text] * len(labels), "label": labels})
    return tfdv.generate_statistics_from_dataframe(frame, options).datasets[0]


def test_the_schema_follows_from_the_task_and_the_training_labels() -> None:
    labels = [f"intent {number}" for number in range(250)]
    schema = labelled_schema_gen.schema_of(Columns(), statistics_of(labels * 2))
    assert labels_of(schema, "label") == sorted(labels)
    assert {feature.name for feature in schema.feature} == {"text", "label"}
    # A text is not a category, however often it is repeated.
    assert labels_of(schema, "text") == []


def test_a_table_with_a_single_label_is_rejected_and_the_label_is_named() -> None:
    with pytest.raises(BadInputError, match="all with the label 'only' in column 'label'"):
        labelled_schema_gen.schema_of(Columns(), statistics_of(["only"] * 3))


def test_unseen_labels_are_named_with_their_rows() -> None:
    data_check.check_labels("eval", "label", ["a", "b"], {"a": 3})
    with pytest.raises(BadInputError, match=r"Received: 'c' \(2 rows\) in column 'label' of the 'eval' split") as error:
        data_check.check_labels("eval", "label", ["a", "b"], {"a": 3, "c": 2})
    assert "Known labels: 'a', 'b'." in str(error.value)


def test_anomalies_become_one_line() -> None:
    schema = labelled_schema_gen.schema_of(Columns(), statistics_of(["a", "b"]))
    statistics = tfdv.generate_statistics_from_dataframe(__import__("pandas").DataFrame({"text": ["x"]}))
    anomalies = tfdv.validate_statistics(statistics, schema)
    with pytest.raises(BadInputError, match="'eval' split: column 'label'") as error:
        data_check.check_anomalies("eval", described(anomalies))
    assert "\n" not in str(error.value)
    data_check.check_anomalies("eval", described(anomalies_pb2.Anomalies()))


def test_all_differences_from_the_last_schema_are_listed() -> None:
    before = {"text": {"type": "BYTES", "values": []}, "label": {"type": "BYTES", "values": ["a", "b"]}}
    data_check.check_same(before, dict(before))
    now = {"body": {"type": "BYTES", "values": []}, "label": {"type": "BYTES", "values": ["b", "c"]}}
    with pytest.raises(BadInputError, match="accept_new_schema") as error:
        data_check.check_same(before, now)
    for words in ("'body' is new", "'text' is missing", 'values are new: "c"', 'values are missing: "a"'):
        assert words in str(error.value)
    with pytest.raises(BadInputError, match="'label' was BYTES and is FLOAT"):
        data_check.check_same(before, {**before, "label": {"type": "FLOAT", "values": ["a", "b"]}})


def test_the_users_schema_may_list_labels_inside_the_feature() -> None:
    schema = schema_pb2.Schema()
    schema.feature.add(name="label", type=schema_pb2.BYTES).string_domain.value.extend(["x", "y"])
    assert labels_of(schema, "label") == ["x", "y"]


# === Skew ===


def test_the_skew_check_accepts_only_equal_preprocessing(tmp_path: Path, preprocessing: Path) -> None:
    to_inputs = TextToInputs.load(preprocessing, sequence_length=16)
    table = write_table(tmp_path / "a.csv", ("text", "label"), [*topic_rows(300), ("", "x"), ("cow " * 50, "x")])
    write_training_sample(tmp_path, [read_labelled(table)], to_inputs)
    rows = [json.loads(line) for line in (tmp_path / SAMPLE_FILE).read_text().splitlines()]
    compared = skew_check.compare(rows, exported_tokenize(to_inputs))
    assert compared == {"texts": 302, "token_ids": sum(len(row["token_ids"]) for row in rows)}
    assert rows[-1]["text"] == "cow " * 50
    assert len(rows[-1]["token_ids"]) == 16

    longer = TextToInputs.load(preprocessing, sequence_length=17)
    with pytest.raises(BadInputError, match="from position 15,") as error:
        skew_check.compare(rows, exported_tokenize(longer))
    assert "[3] in training" in str(error.value)
    with pytest.raises(BadInputError, match="an empty sample"):
        skew_check.compare([], None)


def exported_tokenize(to_inputs: TextToInputs) -> Any:
    def tokenize(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: value for name, value in to_inputs(text).items() if name != "segment_ids"}

    return tokenize


# === Models ===


def test_the_newest_version_is_found_by_number(tmp_path: Path) -> None:
    assert newest_version(str(tmp_path / "nowhere")) is None
    for name in ("9", "10", "notes"):
        (tmp_path / name).mkdir()
    assert newest_version(str(tmp_path)) == str(tmp_path / "10")


def test_a_model_is_pushed_once_with_a_larger_number(tmp_path: Path) -> None:
    model, folder = tmp_path / "model", tmp_path / "pushed"
    (model / "variables").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"one")
    (model / "variables" / "data").write_bytes(b"1")
    first = push(str(model), str(folder))
    assert push(str(model), str(folder)) == first
    assert fingerprint(first) == fingerprint(model)
    (model / "saved_model.pb").write_bytes(b"two")
    second = push(str(model), str(folder))
    assert existing_versions(folder) == [int(Path(version).name) for version in (first, second)]
    # A model that was pushed before can be pushed again, as a newer version.
    (model / "saved_model.pb").write_bytes(b"one")
    assert len(existing_versions(Path(push(str(model), str(folder))).parent)) == 3
    assert sorted(path.name for path in folder.iterdir()) == [str(number) for number in existing_versions(folder)]


def test_a_fingerprint_depends_on_content_but_not_on_the_folder(tmp_path: Path) -> None:
    for name, content in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(content)
    a, b, c = (fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c
    assert fingerprint(tmp_path / "a" / "file") != fingerprint(tmp_path / "c" / "file")


def test_the_fingerprint_of_a_checkpoint_covers_all_files_of_its_prefix(tmp_path: Path) -> None:
    prefix = tmp_path / "model.ckpt-7"
    for ending in ("index", "data-00000-of-00001"):
        Path(f"{prefix}.{ending}").write_text(ending)
    before = fingerprint(prefix)
    (tmp_path / "model.ckpt-70.index").write_text("another")
    assert fingerprint(prefix) == before != fingerprint(tmp_path / "nowhere")
    Path(f"{prefix}.index").write_text("changed")
    assert fingerprint(prefix) != before


@pytest.mark.parametrize("inside", ["", "model", "3", "3/Format-Serving"])
def test_a_model_to_start_from_is_found_in_runs_artifacts_and_versions(
    tmp_path: Path, preprocessing: Path, inside: str
) -> None:
    expected = save_tiny_model(tmp_path / "start" / inside, preprocessing, 4)
    # TFX appends the name of its sub-folder to an imported path.
    for uri in (str(tmp_path / "start"), str(tmp_path / "start" / "Format-Serving")):
        with find_model(uri) as found:
            assert Path(found or "") == expected


def test_a_missing_model_to_start_from_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="which does not"), find_model(str(tmp_path / "no")):
        pass
    with find_model(None) as nothing:
        assert nothing is None


def test_rows_are_read_in_the_order_of_the_files(tmp_path: Path) -> None:
    rng = random.Random(1)
    for name in ("b.gz", "a.gz"):
        write_records(tmp_path / name, [to_example(Columns(), [name], rng.choice("xy"))])
    assert read_rows([str(tmp_path / "*")], Columns(), "eval").texts == ("a.gz", "b.gz")
    with pytest.raises(BadInputError, match="none in 'eval'"):
        read_rows([str(tmp_path / "none*")], Columns(), "eval")
