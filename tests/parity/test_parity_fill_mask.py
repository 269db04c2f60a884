"""`fill` gives the pieces and probabilities of transformers' `fill-mask` pipeline, on a folder of transformers."""

import numpy as np

from kerasbert.recipes.tasks.mask_filling import fill, load_masked_language_model

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "is", "here", "##s", "saw", ".", "a"]


def test_the_pieces_are_those_of_the_fill_mask_pipeline(transformers, tmp_path):
    import torch

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(PIECES), initializer_range=0.5, **sizes)
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    tokenizer = transformers.BertTokenizerFast.from_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    theirs = transformers.pipeline("fill-mask", model=str(tmp_path), tokenizer=tokenizer, top_k=3, device="cpu")
    texts = ["The [MASK] is here.", "A [MASK] saw the [MASK]."]
    language_model = load_masked_language_model(tmp_path)
    for text, answer in zip(texts, fill(language_model, texts, top_n=3), strict=True):
        found = theirs(text)
        for candidates, expected in zip(
            answer["candidates"], found if text.count("[MASK]") > 1 else [found], strict=True
        ):
            assert [candidate["piece"] for candidate in candidates] == [
                tokenizer.convert_ids_to_tokens(row["token"]) for row in expected
            ]
            np.testing.assert_allclose(
                [candidate["probability"] for candidate in candidates], [row["score"] for row in expected], rtol=1e-3
            )
