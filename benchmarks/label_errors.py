"""Plants wrong labels and repeated rows in BANKING77, and measures how many `check_data` finds. Prints JSON.

5% of the rows get the label of another row, chosen at random. 100 rows are added again with other case and spaces, and
100 with one word left out. Precision is the share of what is reported that was planted, so real errors of the data
count against it. Recall is the share of what was planted that is reported.

    python -m benchmarks.label_errors --seeds 0 1 2
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

from kerasbert.data import LabelledTexts, read_labelled
from kerasbert.errors import BadInputError
from kerasbert.recipes import check_data

BANKING77 = Path(__file__).parents[1] / "../shared/data/banking77/train.csv"
COPIES = 100


def main() -> None:
    """Print the metrics, or one line that says what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_errors", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=BANKING77, help="A table, a folder or a pattern of tables.")
    parser.add_argument("--label-column", default="category")
    parser.add_argument("--wrong-share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    try:
        rows = read_labelled(arguments.data, label_column=arguments.label_column)
    except BadInputError as error:
        sys.exit(f"label_errors: {error}")
    runs = {str(seed): measure(rows, arguments.wrong_share, seed) for seed in arguments.seeds}
    json.dump({"rows": len(rows), "seeds": runs}, sys.stdout)


def measure(clean: LabelledTexts, wrong_share: float, seed: int) -> dict[str, object]:
    """Plant errors and compare them with what is found."""
    rng = random.Random(seed)
    texts, labels = list(clean.texts), list(clean.labels or ())
    wrong = rng.sample(range(len(texts)), round(wrong_share * len(texts)))
    for row in wrong:
        labels[row] = rng.choice([label for label in clean.labels or () if label != labels[row]])
    chosen = rng.sample([row for row, text in enumerate(texts) if len(text.split()) > 9], 2 * COPIES)
    texts += [f" {texts[row].upper()} " for row in chosen[:COPIES]]
    texts += [without_a_word(texts[row], rng) for row in chosen[COPIES:]]
    labels += [labels[row] for row in chosen]
    planted = LabelledTexts(tuple(texts), None, tuple(labels), tuple(map(str, range(len(texts)))))
    started = time.perf_counter()
    result = check_data(planted, most_examples=len(texts)).result
    seconds = time.perf_counter() - started
    rows = {part: [int(row["place"]) for row in result[part]["examples"]] for part in ("doubtful_labels", "duplicates")}
    near = {(int(row["repeats"]["place"]), int(row["place"])) for row in result["near_duplicates"]["examples"]}
    exact = set(range(len(clean), len(clean) + COPIES))
    nearly = {row for _, row in near} & set(range(len(clean) + COPIES, len(texts)))
    return {
        "wrong_labels": quality(set(rows["doubtful_labels"]) - set(range(len(clean), len(texts))), set(wrong)),
        "first_100_doubtful_labels": quality(set(rows["doubtful_labels"][:100]), set(wrong)),
        "exact_copies": quality(set(rows["duplicates"]), exact),
        "near_copies_recall": len(nearly) / COPIES,
        "accuracy_of_the_linear_model": result["linear_model"]["accuracy"],
        "seconds": round(seconds, 1),
    }


def without_a_word(text: str, rng: random.Random) -> str:
    """Return a text without one of its words."""
    words = text.split()
    words.pop(rng.randrange(len(words)))
    return " ".join(words)


def quality(found: set[int], planted: set[int]) -> dict[str, float]:
    """Return the number of rows found, precision and recall."""
    hits = len(found & planted)
    return {"found": len(found), "precision": hits / max(len(found), 1), "recall": hits / len(planted)}


if __name__ == "__main__":
    main()
