"""Records what sentence-transformers' losses and evaluators return, for tests that need no PyTorch.

With sentence-transformers installed: python -m tests.training.record_sentence_losses
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("sentence_transformers_numbers.json")


def example(seed=3, rows=8, texts=4, size=6):
    """Vectors and every kind of labels: the arguments of all losses."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(rows, texts, size)).astype("float32")
    vectors[:, 1] += 0.8 * vectors[:, 0]
    return {
        "vectors": vectors,
        "scores": draw.choice([0.0, 0.25, 0.5, 1.0], rows).astype("float32"),
        "similar": (np.arange(rows) % 3 == 0).astype("int32"),
        "classes": draw.integers(0, 3, rows).astype("int32"),
        "teacher_scores": draw.normal(size=(rows, texts - 1)).astype("float32"),
        "margins": draw.normal(size=(rows, texts - 2)).astype("float32"),
        "teacher_vectors": draw.normal(size=(rows, size)).astype("float32"),
        "weight": draw.normal(0, 0.3, size=(3, 3 * size)).astype("float32"),
        "bias": draw.normal(size=3).astype("float32"),
    }


def cases(losses, model):
    """Name -> (their loss, texts of a row, labels)."""
    hard, cosine = losses.BatchHardTripletLoss, losses.BatchHardTripletLossDistanceFunction.cosine_distance
    both = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    return {
        "cosine_similarity": (losses.CosineSimilarityLoss(model), 2, "scores"),
        "cosent": (losses.CoSENTLoss(model), 2, "scores"),
        "angle": (losses.AnglELoss(model), 2, "scores"),
        "contrastive": (losses.ContrastiveLoss(model), 2, "similar"),
        "online_contrastive": (losses.OnlineContrastiveLoss(model), 2, "similar"),
        "triplet": (losses.TripletLoss(model), 3, "scores"),
        "triplet_hard": (hard(model), 1, "classes"),
        "triplet_hard_cosine": (hard(model, cosine, 0.3), 1, "classes"),
        "triplet_all": (losses.BatchAllTripletLoss(model, margin=1.0), 1, "classes"),
        "triplet_semi_hard": (losses.BatchSemiHardTripletLoss(model, margin=1.0), 1, "classes"),
        "ranking": (losses.MultipleNegativesRankingLoss(model), 4, "scores"),
        "ranking_symmetric": (losses.MultipleNegativesRankingLoss(model, **both), 4, "scores"),
        "margin_mse": (losses.MarginMSELoss(model), 4, "margins"),
        "margin_mse_scores": (losses.MarginMSELoss(model), 4, "teacher_scores"),
        "mse": (losses.MSELoss(model), 2, "teacher_vectors"),
        "distill_kl": (losses.DistillKLDivLoss(model, temperature=2.0), 4, "teacher_scores"),
        "matryoshka": (
            losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), [6, 4, 2], [1, 0.5, 0.25]),
            3,
            "scores",
        ),
        "softmax": (losses.SoftmaxLoss(model, 6, 3), 2, "classes"),
    }


def main():
    import torch
    from sentence_transformers.sentence_transformer import losses

    class Vectors(torch.nn.Module):
        """Stands for an encoder: its features are vectors already."""

        device = "cpu"

        def forward(self, features):
            return {"sentence_embedding": features["vectors"]}

        def get_embedding_dimension(self):
            return 6

    arrays = {name: torch.tensor(array) for name, array in example().items()}
    arrays["classes"] = arrays["classes"].long()
    numbers = {}
    for name, (loss, texts, labels) in cases(losses, Vectors()).items():
        if name == "softmax":
            loss.classifier.load_state_dict({"weight": arrays["weight"], "bias": arrays["bias"]})
        vectors = arrays["vectors"].clone().requires_grad_()
        value = loss([{"vectors": vectors[:, text]} for text in range(texts)], arrays[labels])
        value.backward()
        gradient = vectors.grad[:, :texts].numpy().ravel()
        numbers[name] = {"loss": float(value), "gradient": [float(f"{number:.8g}") for number in gradient]}
    FILE.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
    print(f"{len(numbers)} losses: {FILE}")


if __name__ == "__main__":
    main()
