"""The metrics of entities equal those of seqeval.

The numbers below were computed by seqeval 1.2.2: `classification_report` for the default mode, and that of
`seqeval.metrics.v1` with the scheme for the strict mode. It is not a dependency of the tests.
"""

import random

import pytest

from kerasbert.training.entity_metrics import entity_metrics

SCHEMES = {"BIO": "BI", "BIOES": "BIES", "BILOU": "BILU", "IOE": "IE"}
# Scheme and mode -> precision, recall and F1 over all kinds, and precision, recall, F1 and support of each kind.
SEQEVAL = {
    ("BIO", "default"): (
        [0.7889361702, 0.7809604044, 0.7849280271],
        {"a-b": [0.8054607509, 0.7750410509, 0.789958159, 609], "c": [0.7724957555, 0.7871972318, 0.7797772065, 578]},
    ),
    ("BIO", "strict"): (
        [0.7771664374, 0.7604306864, 0.768707483],
        {"a-b": [0.793956044, 0.7605263158, 0.7768817204, 380], "c": [0.7603305785, 0.7603305785, 0.7603305785, 363]},
    ),
    ("BIOES", "default"): (
        [0.8339148639, 0.830437804, 0.8321727019],
        {"a-b": [0.8376534789, 0.8319783198, 0.8348062542, 738], "c": [0.83, 0.8288159772, 0.829407566, 701]},
    ),
    ("BIOES", "strict"): (
        [0.808411215, 0.7757847534, 0.7917620137],
        {"a-b": [0.7873303167, 0.7598253275, 0.7733333333, 229], "c": [0.8309178744, 0.7926267281, 0.8113207547, 217]},
    ),
    ("BILOU", "strict"): (
        [0.808411215, 0.7757847534, 0.7917620137],
        {"a-b": [0.7873303167, 0.7598253275, 0.7733333333, 229], "c": [0.8309178744, 0.7926267281, 0.8113207547, 217]},
    ),
    ("IOE", "default"): (
        [0.7872711421, 0.7831743278, 0.7852173913],
        {"a-b": [0.8093587522, 0.7822445561, 0.7955706985, 597], "c": [0.7649122807, 0.7841726619, 0.7744227353, 556]},
    ),
    ("IOE", "strict"): (
        [0.7625368732, 0.7636632201, 0.763099631],
        {"a-b": [0.787965616, 0.7768361582, 0.7823613087, 354], "c": [0.73556231, 0.7492260062, 0.7423312883, 323]},
    ),
}


def random_tags(labels: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """200 random sequences, most of them invalid in the scheme, and predictions of which most are right."""
    rng = random.Random(7)
    true = [[rng.choice(labels) for _ in range(9)] for _ in range(200)]
    return true, [[tag if rng.random() < 0.8 else rng.choice(labels) for tag in row] for row in true]


@pytest.mark.parametrize(("scheme", "mode"), SEQEVAL)
def test_metrics_equal_those_of_seqeval(scheme: str, mode: str) -> None:
    labels = ["O", *(f"{prefix}-{kind}" for kind in ("a-b", "c") for prefix in SCHEMES[scheme])]
    metrics = entity_metrics(*random_tags(labels), labels, strict=mode == "strict")
    overall, by_kind = SEQEVAL[scheme, mode]
    assert [metrics[name] for name in ("precision", "recall", "f1")] == pytest.approx(overall, abs=1e-9)
    assert metrics["per_entity"].keys() == by_kind.keys()
    for kind, numbers in by_kind.items():
        assert list(metrics["per_entity"][kind].values()) == pytest.approx(numbers, abs=1e-9)
