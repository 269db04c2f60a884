"""The fix that a message names works when it is followed to the letter, from where the reader stands.

Each case is a command that fails. What its message says in backticks, or after "run:", is parsed out and typed.
"""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from kerasbert.checkpoints import load, save
from kerasbert.data import Labels, read_tagged
from kerasbert.models import BertSentenceEncoder, BertSpanPredictor, BertTokenClassifier
from kerasbert.recipes.token_classification import evaluate_tokens

# Two commands for each message.
pytestmark = pytest.mark.slow

Command = Callable[..., object]

CP1252 = "text,label\nle café très cher,a\nl'été à Orléans,b\nla forêt là-bas,a\n".encode("cp1252")
_TRAIN = "--output run --epochs 1 --sequence-length 8 --no-progress"
_TUNE = f"fine-tune rows.csv --from model {_TRAIN}"
_NEW = f"fine-tune rows.csv --vocabulary vocab.txt --model config.json {_TRAIN}"


def options_in(message: str) -> list[str]:
    """The options, with their values if they have any, that a message has in backticks."""
    _, _, fix = message.rpartition("Received: ")
    return re.findall(r"`(--[^`]+)`", fix)


def added(words: list[str], message: str) -> list[str]:
    """The command with the first option that the message gives with a value, or else its first option."""
    named = options_in(message)
    option, *value = shlex.split(next((each for each in named if " " in each), named[0]))
    return [*removed(words, option), option, *value]


def restarted(words: list[str], message: str) -> list[str]:
    assert "`--restart` to delete the earlier run" in message
    return [*words, "--restart"]


def removed(words: list[str], option: str) -> list[str]:
    """The command without an option and its value."""
    if option not in words:
        return words
    place = words.index(option)
    has_value = place + 1 < len(words) and not words[place + 1].startswith("-")
    return words[:place] + words[place + 1 + has_value :]


def without_what_it_says(words: list[str], message: str) -> list[str]:
    """The command without the option after "Remove"."""
    found = re.search(r"Remove `(--[\w-]+)", message) or re.search(r"`(--[\w-]+)` is for .*Remove it", message)
    assert found, message
    return removed(words, found[1])


def one_of(pattern: str, option: str | None = None) -> Callable[[list[str], str], list[str]]:
    """Sets an option to the first of the values that the message lists."""

    def fix(words: list[str], message: str) -> list[str]:
        found = re.search(pattern, message)
        assert found, message
        name = option or options_in(message)[0].split()[0]
        return [*removed(words, name), name, found[1]]

    return fix


def raised(words: list[str], message: str) -> list[str]:
    """Raises a share to its largest value."""
    return [*words, options_in(message)[-1], "1"]


def as_it_says_to_run(words: list[str], message: str) -> list[str]:
    """The first command that the message gives in full."""
    found = re.search(r": kerasbert (.*?)(, then .*|)$", message.removeprefix("kerasbert: "))
    assert found, message
    # The embedded text is the reader's, and so is the length that fits a model of 16 positions.
    more = {"embed": ["the cat"], "fine-tune": ["--sequence-length", "8"]}
    return [*shlex.split(found[1]), *more.get(found[1].split()[0], [])]


def with_its_vocabulary(words: list[str], message: str) -> list[str]:
    assert re.search(r"Copy (its|the model's) vocab\.txt there", message), message
    Path("bare/vocab.txt").write_bytes(Path("vocab.txt").read_bytes())
    return words


def learned_first(words: list[str], message: str) -> list[str]:
    """Learns a vocabulary with the command that the message names, and uses the option that it names."""
    from kerasbert.cli import main

    assert "`kerasbert vocabulary`" in message
    main(["vocabulary", "text.txt", "--output", "learned.txt", "--size", "60"])
    return [*words, re.findall(r"`(--[\w-]+)`", message)[0], "learned.txt"]


def listed(words: list[str], message: str) -> list[str]:
    """Follows the message about a missing header, then takes the columns by number."""
    assert "`--no-header` and choose columns by number" in message
    return [*words, "--no-header", "--text-column", "1", "--label-column", "2"]


# Name -> files, a command that fails, and how its message is followed.
CASES: dict[str, tuple[dict[str, bytes | str], str, Callable[..., list[str]]]] = {
    "encoding of a text": ({"odd.txt": CP1252}, "vocabulary odd.txt --output v.txt --size 90", added),
    "encoding of a table": ({"odd.csv": CP1252}, "evaluate model odd.csv", added),
    "encoding of texts to embed": ({"odd.csv": CP1252}, "embed model --file odd.csv", added),
    "encoding that does not exist": (
        {},
        "evaluate model rows.csv --encoding klingon",
        one_of(r"(latin-1|utf-16|cp1252)"),
    ),
    "delimiter that does not exist": ({}, "evaluate model rows.csv --delimiter ab", one_of(r"(comma|semicolon)")),
    "a table as text": ({}, "vocabulary rows.csv --output v.txt --size 60", added),
    "a table to pretrain on": (
        {"docs.csv": 'text\n"the cat\nis here"\n"the dog\nis here"\n"the saw\nis here"\n'},
        f"pretrain docs.csv --vocabulary vocab.txt --model config.json {_TRAIN.replace('--epochs 1', '--steps 1')} "
        "--long-share 0",
        added,
    ),
    "text as a table": ({}, "vocabulary text.txt --text-column text --output v.txt --size 60", without_what_it_says),
    "another column": (
        {"other.csv": "question,label\nthe cat,a\nthe dog,b\n"},
        "evaluate model other.csv",
        one_of(r"Columns there: '(\w+)'"),
    ),
    "no header": ({"bare.csv": "the cat is here now,a\nthe dog is here now,b\n"}, "evaluate model bare.csv", listed),
    "a label column by number": (
        {"bare.csv": "the cat,a\nthe dog,b\n"},
        "evaluate model bare.csv --no-header --text-column text --label-column 2",
        added,
    ),
    "longer than the positions": ({}, _TUNE.replace("-length 8", "-length 500"), added),
    "unknown words": ({"rows.csv": "text,label\nxyz uvw,a\nqqq,b\n"}, _TUNE, raised),
    "a metric of another task": ({}, f"{_TUNE} --monitor mse", one_of(r"Choose one of (\w+)", "--monitor")),
    "class weights of numbers": (
        {"rows.csv": "text,label\nthe cat,1\nthe dog,2\n"},
        f"{_TUNE} --task regression --class-weights balanced",
        without_what_it_says,
    ),
    "several labels": (
        {"rows.jsonl": '{"text": "the cat", "label": ["a", "b"]}\n{"text": "the dog", "label": ["b"]}\n'},
        _TUNE.replace("rows.csv", "rows.jsonl"),
        added,
    ),
    "a run with other settings": ({"run/settings.json": '{"command": "fine-tune", "settings": {}}'}, _TUNE, restarted),
    "a damaged run": ({"run/settings.json": "{"}, _TUNE, restarted),
    "another output": (
        {"run/notes.txt": "mine"},
        _TUNE,
        lambda words, message: [*removed(words, "--output"), "--output", "new"],
    ),
    "cased": ({}, f"{_TUNE} --cased", without_what_it_says),
    "accents": ({}, f"{_TUNE} --keep-accents", without_what_it_says),
    "another vocabulary": (
        {"other.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n"},
        f"{_TUNE} --vocabulary other.txt",
        without_what_it_says,
    ),
    "another size": ({}, f"{_TUNE} --model bert-mini", without_what_it_says),
    "from random weights instead": (
        {},
        f"{_TUNE} --cased --vocabulary vocab.txt --model config.json",
        lambda words, message: removed(words, re.findall(r"without `(--[\w-]+)`", message)[0]),
    ),
    "nothing to start from": ({}, f"fine-tune rows.csv --model config.json {_TRAIN}", learned_first),
    "a folder without vocabulary": ({}, "predict bare 'the cat'", with_its_vocabulary),
    "a folder without vocabulary to train": ({}, _TUNE.replace("--from model", "--from bare"), with_its_vocabulary),
    "a folder without vocabulary to export": ({}, "export bare exported --no-warm-up", with_its_vocabulary),
    "predict with a sentence encoder": ({}, "predict sentences 'the cat'", as_it_says_to_run),
    "predict with a tagger": ({}, "predict tagger 'the cat'", as_it_says_to_run),
    "evaluate a model of questions": ({}, "evaluate answerer rows.csv", as_it_says_to_run),
    "predict with an encoder": (
        {"train.csv": "text,label\nthe cat,a\nthe dog,b\n"},
        "predict encoder 'the cat'",
        as_it_says_to_run,
    ),
    "a TF Serving that is too old": (
        {},
        "export model exported --no-warm-up --min-serving-version 2.0",
        one_of(r"(2\.\d+) to ", "--min-serving-version"),
    ),
    "an export longer than the positions": (
        {},
        "export model exported --no-warm-up --sequence-length 99",
        one_of(r"at most (\d+)", "--sequence-length"),
    ),
    "pooling that does not exist here": (
        {},
        "embed projecting 'the cat' --pooling last",
        lambda words, _: removed(words, "--pooling"),
    ),
}


@pytest.fixture(scope="module")
def kinds(tiny_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of other tasks, and one without its vocabulary."""
    folder = tmp_path_factory.mktemp("kinds")
    loaded = load(tiny_files / "model")
    backbone, to_inputs = loaded.model.backbone, loaded.text_to_inputs
    save(loaded.model, folder / "bare", labels=["a", "b"])
    save(backbone, folder / "encoder", to_inputs)
    save(BertSentenceEncoder(backbone), folder / "sentences", to_inputs)
    save(BertSentenceEncoder(backbone, ["mean", "max"], projections=[{"units": 3}]), folder / "projecting", to_inputs)
    save(BertSpanPredictor(backbone), folder / "answerer", to_inputs)
    save(BertTokenClassifier(backbone, 3), folder / "tagger", to_inputs, ["O", "B-x", "I-x"])
    return folder


@pytest.mark.parametrize("case", CASES)
def test_the_named_fix_works(
    case: str, command: Command, tiny_files: Path, kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, line, fix = CASES[case]
    monkeypatch.chdir(tmp_path)
    for place in (*tiny_files.iterdir(), *kinds.iterdir()):
        if place.name == "bare":
            Path("bare").mkdir()
            for file in place.iterdir():
                Path("bare", file.name).write_bytes(file.read_bytes())
        elif place.name != "run" and place.name not in contents:
            Path(place.name).symlink_to(place)
    for name, content in contents.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    words = shlex.split(line)
    failed = command(*words)
    assert failed.code == 1, failed.out
    fixed = fix(words, failed.error)
    assert fixed != words or "vocab.txt there" in failed.error
    result = command(*fixed)
    assert result.code == 0, f"{failed.error}\n-> {' '.join(fixed)}\n{result.err}"


def test_a_tagger_is_evaluated_on_tagged_words(command: Command, kinds: Path, tmp_path: Path) -> None:
    """The metrics are those of the recipe, and a tag that training did not have is named."""
    file, output = tmp_path / "test.conll", tmp_path / "metrics.json"
    file.write_text("the O\ncat B-x\n\ndog B-x\nis O\nhere O\n")
    result = command("evaluate", kinds / "tagger", file, "--output", output)
    assert result.code == 0, result.err
    metrics = json.loads(output.read_text())
    assert (metrics["rows"], metrics["words"], metrics["entities"]) == (2, 5, 2)
    loaded = load(kinds / "tagger")
    expected = evaluate_tokens(loaded.model, read_tagged(file), Labels(loaded.labels), loaded.text_to_inputs, 2)
    assert metrics == pytest.approx(expected, abs=1e-6)
    file.write_text("the O\ncat B-unknown\n")
    unknown = command("evaluate", kinds / "tagger", file)
    assert unknown.code == 1
    assert "'B-unknown'" in unknown.error
