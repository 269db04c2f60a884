"""Files with one word per line: which columns contain the words and the tags, and which lines contain neither."""

import pytest

from kerasbert.data import ReadReport, TableFormat, read_tagged
from kerasbert.errors import BadInputError

WORDS = (("Anna", "lives", "in", "Paris"), ("Acme", "works", "#"))
TAGS = (("B-PER", "O", "O", "B-LOC"), ("B-ORG", "O", "O"))
OTHER = {"Anna": "NNP", "lives": "VBZ", "in": "IN", "Paris": "NNP", "Acme": "NNP", "works": "VBZ", "#": "NN"}


def rows(*columns, start=1, separator="\t", before=(), between=("",)):
    """Lines of the two texts with columns chosen from `number`, `word`, `pos`, `chunk`, `tag`, `inner`, `_`."""
    lines = []
    for words, tags in zip(WORDS, TAGS, strict=True):
        lines += before
        for number, (word, tag) in enumerate(zip(words, tags, strict=True), start=start):
            values = {
                "number": str(number),
                "word": word,
                "pos": OTHER[word],
                "chunk": "B-NP" if OTHER[word] == "NNP" else "O",
                "tag": tag,
                "inner": "B-X" if word == "Paris" else "O",
                "_": "_",
            }
            lines.append(separator.join(values[column] for column in columns))
        lines += between
    return "\n".join(lines) + "\n"


CONLL_U = ["number", "word", "word", "pos", "pos", *["_"] * 5]
CONLL_09 = ["number", "word", "word", "word", "pos", "pos", *["_"] * 8]
POS = tuple(tuple(OTHER[word] for word in words) for words in WORDS)
LAYOUTS = {
    "CoNLL-2003": (rows("word", "pos", "chunk", "tag", separator=" ", before=["-DOCSTART- -X- -X- O", ""]), TAGS),
    "CoNLL-2002": (rows("word", "pos", "tag", separator=" "), TAGS),
    "WNUT": (rows("word", "tag"), TAGS),
    "GermEval": (rows("number", "word", "tag", "inner", before=["#\thttp://de.wikipedia.org/x\t[2009-10-17]"]), TAGS),
    "numbers from 0": (rows("number", "word", "pos", "tag", start=0, separator="   "), TAGS),
    "CoNLL-U": (rows(*CONLL_U, before=["# sent_id = 1", "# text = Anna O"]), POS),
    "CoNLL-2009": (rows(*CONLL_09), POS),
    "CoNLL-U with entities": (rows(*CONLL_U, "tag"), TAGS),
    "tags first": (rows("tag", "word"), TAGS),
    "header": ("token\tpos\ttag\n" + rows("word", "pos", "tag"), TAGS),
    "ten columns": (rows("word", *["_"] * 8, "tag", separator=" "), TAGS),
    "line ends of Windows": (rows("word", "tag").replace("\n", "\r\n"), TAGS),
}


@pytest.mark.parametrize("ending", [".conll", ".tsv", ".txt", ".csv", ".bio", ""])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_detected_regardless_of_the_extension(tmp_path, layout, ending):
    content, tags = LAYOUTS[layout]
    (tmp_path / f"a{ending}").write_text(content, newline="")
    read = read_tagged(tmp_path / f"a{ending}", report=(report := ReadReport()))
    assert (read.words, read.tags) == (WORDS, tags)
    is_plain = layout in ("CoNLL-2003", "CoNLL-2002", "WNUT", "header", "ten columns", "line ends of Windows")
    assert bool(report.warning()) != is_plain


def test_words_that_are_not_in_the_text_and_several_words_in_one(tmp_path):
    lines = [
        "# text = vámonos al mar",
        "1-2\tvámonos\t_\t_",
        "1\tvamos\tir\tVERB",
        "2\tnos\tnosotros\tPRON",
        "3-4\tal\t_\t_",
    ]
    lines += ["3\ta\ta\tADP", "4\tel\tel\tDET", "4.1\tX\t_\t_", "5\tmar\tmar\tNOUN", "", "1\tSí\tsí\tINTJ"]
    (tmp_path / "a.conllu").write_text("\n".join(lines))
    read = read_tagged(tmp_path / "a.conllu")
    assert read.words == (("vamos", "nos", "a", "el", "mar"), ("Sí",))
    assert read.tags[0] == ("VERB", "PRON", "ADP", "DET", "NOUN")


@pytest.mark.parametrize(("word", "tag"), [(2, 3), ("2", "3"), ("form", "ne")])
def test_chosen_columns_are_read(tmp_path, word, tag):
    content = rows("pos", "word", "tag", "inner")
    (tmp_path / "a.tsv").write_text(content if word != "form" else "x\tform\tne\ty\n" + content)
    read = read_tagged(tmp_path / "a.tsv", table_format=TableFormat(word_column=word, tag_column=tag))
    assert (read.words, read.tags) == (WORDS, TAGS)


def test_the_inner_entities_of_germeval(tmp_path):
    (tmp_path / "a.tsv").write_text(LAYOUTS["GermEval"][0])
    read = read_tagged(tmp_path / "a.tsv", table_format=TableFormat(tag_column=4))
    assert read.words == WORDS
    assert read.tags[0] == ("O", "O", "O", "B-X")


@pytest.mark.parametrize(
    ("table_format", "message"),
    [
        ({"word_column": "word", "tag_column": 2}, "`word_column` must be a number, or a name"),
        ({"tag_column": 5}, "columns of the words and of the tags"),
        ({"tag_column": 0}, "counted from 1"),
    ],
)
def test_columns_that_are_not_there(tmp_path, table_format, message):
    (tmp_path / "a.conll").write_text(rows("word", "tag"))
    with pytest.raises(BadInputError, match=message):
        read_tagged(tmp_path / "a.conll", table_format=TableFormat(**table_format))


def test_number_signs_that_are_words(tmp_path):
    (tmp_path / "a.txt").write_text(
        "# O\n1 O\n#NewYork B-LOC\n\n#a O\nb B-LOC\n\n# newdoc\nc O\n\n#begin document (x);\nd O\n"
    )
    read = read_tagged(tmp_path / "a.txt")
    assert read.words == (("#", "1", "#NewYork"), ("#a", "b"), ("c",), ("d",))


def test_blanks_within_words(tmp_path):
    (tmp_path / "a.tsv").write_text("10 000\tB-NUM\neuros\tO\n")
    assert read_tagged(tmp_path / "a.tsv").words == (("10\u00a0000", "euros"),)


def test_commas_between_word_and_tag(tmp_path):
    (tmp_path / "a.csv").write_text('word,tag\nAnna,B-PER\n",",O\n\n"say ""hi""",O\nParis,B-LOC\n')
    read = read_tagged(tmp_path / "a.csv")
    assert read.words == (("Anna", ","), ('say\u00a0"hi"', "Paris"))
    (tmp_path / "a.txt").write_text("Anna;B-PER\nlives;O\n")
    with pytest.raises(BadInputError, match="set `delimiter`"):
        read_tagged(tmp_path / "a.txt")
    assert read_tagged(tmp_path / "a.txt", table_format=TableFormat(delimiter=";")).words == (("Anna", "lives"),)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_table_with_printed_lists(tmp_path, name):
    separator = {"a.csv": ";", "a.tsv": "\t"}[name]
    lines = ["id,tokens,tags", "1,['New' 'York'],['B-LOC' 'I-LOC']", "2,['x'],['O']"]
    (tmp_path / name).write_text("\n".join(line.replace(",", separator) for line in lines))
    read = read_tagged(tmp_path / name)
    assert read.words == (("New", "York"), ("x",))
    assert read.tags == (("B-LOC", "I-LOC"), ("O",))


def test_a_json_file_of_columns(tmp_path):
    (tmp_path / "a.json").write_text('{"tokens": [["New", "York"], ["x"]], "tags": [["B-LOC", "I-LOC"], ["O"]]}')
    assert read_tagged(tmp_path / "a.json").words == (("New", "York"), ("x",))
    (tmp_path / "b.json").write_text('{"tokens": ["New", "York"], "tags": ["B-LOC", "I-LOC"]}')
    assert read_tagged(tmp_path / "b.json").words == (("New", "York"),)


def test_a_file_without_blank_lines_is_reported(tmp_path):
    (tmp_path / "a.conll").write_text("word O\n" * 1200)
    read_tagged(tmp_path / "a.conll", report=(report := ReadReport()))
    assert "no blank line" in report.warning()


def test_another_encoding(tmp_path):
    (tmp_path / "a.conll").write_bytes("Jürgen B-PER\nläuft O\n".encode("cp1252"))
    with pytest.raises(BadInputError, match="encoding='cp1252'"):
        read_tagged(tmp_path / "a.conll")
    read = read_tagged(tmp_path / "a.conll", table_format=TableFormat(encoding="cp1252"))
    assert read.words == (("Jürgen", "läuft"),)
