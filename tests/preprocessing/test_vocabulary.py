"""A vocabulary file reads and writes back byte for byte, and a broken one is named with file and line."""

import pytest

from kerasbert.errors import BadInputError
from kerasbert.preprocessing import Vocabulary, WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(tmp_path, content):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_ids_are_places():
    vocabulary = Vocabulary(["[UNK]", "a", "[SEP]", "[CLS]", "[MASK]", "[PAD]", "##b"])
    assert (vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id) == (
        *(5, 0, 3),
        *(2, 4),
    )
    assert vocabulary.special_ids == (5, 0, 3, 2, 4)
    assert vocabulary.id_of("##b") == 6
    assert vocabulary.id_of("b") == vocabulary.unk_id
    assert len(vocabulary) == vocabulary.size == 7
    assert "a" in vocabulary
    assert "c" not in vocabulary


def test_saves_and_reads_back(tmp_path):
    vocabulary = Vocabulary([*SPECIAL, "é", "中", "##ß", "a b", "\u2028", "\x85", "\u00a0", "\U0001f600"])
    vocabulary.save(tmp_path / "deep/er/vocab.txt")
    read = Vocabulary.from_file(tmp_path / "deep/er/vocab.txt")
    assert read == vocabulary
    assert hash(read) == hash(vocabulary)
    assert (tmp_path / "deep/er/vocab.txt").read_text(encoding="utf-8").split("\n")[:3] == SPECIAL[:3]
    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == ["vocab.txt"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\n\n\n", "\r\n\r\n"])
def test_line_ends_and_marks_are_not_part_of_pieces(tmp_path, end):
    newline = "\r\n" if "\r" in end else "\n"
    path = write(tmp_path, "\ufeff" + newline.join([*SPECIAL, "play", "##ing"]) + end)
    assert Vocabulary.from_file(path).pieces == (*SPECIAL, "play", "##ing")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"\n \n\r\n", "empty"),
        ("\n".join([*SPECIAL[:1], *SPECIAL[2:], "a"]), r"lacks \[UNK\]"),
        ("\n".join(["a", "b"]), r"lacks \[PAD\], \[UNK\], \[CLS\], \[SEP\], \[MASK\]"),
        ("\n".join(SPECIAL).encode() + b"\nab\xff\n", "line 6 is not UTF-8"),
        (bytes(range(256)) * 4, "not UTF-8"),
        ("\n".join([*SPECIAL, "x" * 300]), "line 6 with 300 bytes"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path, content, complaint):
    path = write(tmp_path, content)
    with pytest.raises(BadInputError, match=complaint) as caught:
        Vocabulary.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path, tmp_path / "none.txt" / "deeper"):
        with pytest.raises(BadInputError, match="not a file"):
            Vocabulary.from_file(path)


@pytest.mark.parametrize(
    ("pieces", "complaint"),
    [
        ([*SPECIAL, "a", "a"], "'a' as piece 5 and again as piece 6"),
        ([*SPECIAL, "", "a"], "must not be blank. Received: '' as piece 5"),
        ([*SPECIAL, " \t", "a"], "must not be blank"),
        ([*SPECIAL, "a\nb"], "line break"),
        ([], "lacks"),
    ],
)
def test_a_new_vocabulary_is_strict(pieces, complaint):
    with pytest.raises(BadInputError, match=complaint):
        Vocabulary(pieces)


def test_a_piece_must_be_text():
    with pytest.raises(TypeError, match="piece 5"):
        Vocabulary([*SPECIAL, 7])


def test_an_unwritable_folder_leaves_the_old_file(tmp_path):
    path = write(tmp_path, "\n".join([*SPECIAL, "old"]))
    with pytest.raises(OSError):
        Vocabulary([*SPECIAL, "new"]).save(path / "vocab.txt")
    assert Vocabulary.from_file(path).pieces[-1] == "old"


def loader_of_google(path):
    """`load_vocab` of google-research/bert's tokenization.py."""
    ids = {}
    with path.open("rb") as file:
        for index, line in enumerate(file):
            ids[line.decode("utf-8", "ignore").strip()] = index
    return ids


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "lines",
    [
        ["", *SPECIAL, "a", "", "b", "##c", "a", " \t", "b", "d"],
        [*SPECIAL, "[MASK]", "a ", " b", "\u2028", "\u00a0", "a"],
        [*SPECIAL, "a", "b", "", "", ""],
        [*SPECIAL, "##a", "##a", "a", "a"],
    ],
)
def test_a_published_file_is_read_as_in_google_research_bert(tmp_path, lines, end):
    content = b"".join(line.encode() + end for line in lines)
    path = write(tmp_path, content)
    vocabulary = Vocabulary.from_file(path)
    expected = loader_of_google(path)
    expected.pop("", None)
    assert {piece: vocabulary.id_of(piece) for piece in expected} == expected
    assert "" not in vocabulary
    assert " \t" not in vocabulary
    vocabulary.save(tmp_path / "copy.txt")
    assert (tmp_path / "copy.txt").read_bytes() == content


def test_texts_get_no_id_of_a_blank_or_an_earlier_equal_line(tmp_path):
    lines = [*SPECIAL, "a", "", "##b", "a", "##b", "c", " ", "d ", "e"]
    tokenizer = WordPieceTokenizer(Vocabulary.from_file(write(tmp_path, "\n".join(lines) + "\n")))
    assert tokenizer.tokenize(["ab  a c d\te [PAD]"]).to_list()[0][:6] == [8, 9, 8, 10, 12, 13]
    assert tokenizer.pieces([6, 8, 12]).numpy().tolist() == [b"", b"a", b"d "]


def test_lines_of_a_checkpoint_and_added_ones(tmp_path):
    vocabulary = Vocabulary.from_lines(["", *SPECIAL, "a", "a"])
    assert (vocabulary.size, vocabulary.id_of("a"), vocabulary.pad_id) == (8, 7, 1)
    more = Vocabulary.from_file(write(tmp_path, "\ufeff" + "\r\n".join([*SPECIAL, "a", "", ""]))).with_added(["<x>"])
    assert (more.size, more.id_of("<x>")) == (7, 6)
    more.save(tmp_path / "more.txt")
    assert (tmp_path / "more.txt").read_bytes() == ("\ufeff" + "\r\n".join([*SPECIAL, "a", "<x>", ""])).encode()
    assert Vocabulary.from_file(tmp_path / "more.txt") == more
    Vocabulary.from_lines([*SPECIAL, "a", ""]).with_added(["b"]).save(tmp_path / "gap.txt")
    assert Vocabulary.from_file(tmp_path / "gap.txt").pieces == (*SPECIAL, "a", "", "b")
    assert Vocabulary([*SPECIAL, "a"]).with_added(["b"]) == Vocabulary([*SPECIAL, "a", "b"])
    with pytest.raises(BadInputError, match="line break"):
        vocabulary.with_added(["a\nb"])
