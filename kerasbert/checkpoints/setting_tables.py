"""For each JSON file of other libraries: the keys that change what a model computes, and what is done about each.

A key is either read (by the module that is named at its table) or limited to the values that are computed here; another
value is refused. Every other key, e.g. `torch_dtype` or `transformers_version`, changes no number and is ignored.
`tests/checkpoints/test_setting_tables.py` changes each key of these tables and checks that it has its effect or is
refused.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from kerasbert.checkpoints.json_settings import JsonSettings


@dataclasses.dataclass(frozen=True)
class Setting:
    """A key that changes what a model computes.

    Attributes:
        key: The key; dots lead into objects.
        changes: What the key changes.
        only: The values that are computed here. Empty if the key is read.
    """

    key: str
    changes: str
    only: tuple[Any, ...] = ()


def check_settings(settings: JsonSettings, table: Iterable[Setting]) -> None:
    """Refuses settings whose values are not computed here.

    Args:
        settings: The file's settings.
        table: A table of this module. Keys that are read are skipped. A missing key is accepted, and null too unless
            `only` lists other values for it.

    Raises:
        BadInputError: A setting has another value.
    """
    for setting in table:
        *place, key = setting.key.split(".")
        inner = settings
        for step in place:
            inner = inner.section(step)
        if not setting.only or key not in inner.values:
            continue
        value = inner.values[key]
        if not any(type(value) is type(allowed) and value == allowed for allowed in setting.only):
            allowed = " or ".join(repr(allowed) for allowed in setting.only if allowed is not None)
            rule = f"must be {allowed}" if allowed else "must be left out"
            raise inner.refusal(key, f"{rule}, because it changes {setting.changes}")


# `vocab_size` is not among these: the word embedding itself says how many rows it has.
_SIZES = (
    Setting("hidden_size", "the width of the hidden states"),
    Setting("num_hidden_layers", "the number of encoder blocks"),
    Setting("num_attention_heads", "the number of attention heads"),
    Setting("intermediate_size", "the width of the feed-forward part"),
    Setting("hidden_act", "the activation of the feed-forward part"),
    Setting("hidden_dropout_prob", "the dropout in training"),
    Setting("attention_probs_dropout_prob", "the dropout of attention in training"),
    Setting("max_position_embeddings", "the longest input"),
    Setting("type_vocab_size", "the number of segments"),
    Setting("initializer_range", "the initial weights of new layers"),
    Setting("layer_norm_eps", "the layer norms"),
    Setting("initialization", "the initial weights of new layers"),
)
# Only in our own layout: `building.py` refuses them in others.
_VARIANTS = (
    Setting("norm_placement", "where the norms are"),
    Setting("norm_type", "the norms"),
    Setting("use_bias", "the biases"),
    Setting("gated_feed_forward", "the feed-forward part"),
    Setting("position_type", "the order of the tokens"),
    Setting("relative_distance", "the attention scores"),
    Setting("relative_buckets", "the attention scores"),
    Setting("rotary_base", "the attention scores"),
    Setting("rotary_scaling", "the attention scores"),
    Setting("scaled_attention", "the attention scores"),
)
_TASK = (
    Setting("num_labels", "the number of labels"),
    Setting("id2label", "the names of the labels"),
    Setting("problem_type", "what the outputs mean"),
    Setting("classifier_dropout", "the dropout of the classifier in training"),
    Setting("sentence_transformers.activation_fn", "the scores of a cross-encoder"),
    Setting("sbert_ce_default_activation_function", "the scores of a cross-encoder"),
)
# Refused by `BertConfig.from_json`: other architectures under the same names.
_ARCHITECTURE = (
    Setting("model_type", "the architecture"),
    Setting("position_embedding_type", "the attention scores"),
    Setting("is_decoder", "the attention mask"),
    Setting("add_cross_attention", "the encoder blocks"),
    Setting("embedding_size", "the word embedding"),
)
# config.json of Hugging Face. Read by `BertConfig.from_json`, `task_config.py` and `hugging_face_folder.py`.
HUGGING_FACE_CONFIG = (
    *(*_SIZES, *_VARIANTS, *_TASK, *_ARCHITECTURE),
    Setting("architectures", "which heads the model has"),
    Setting("pruned_heads", "the attention heads of each block", (None, {})),
    Setting("quantization_config", "the numbers that the weights stand for", (None,)),
    Setting("use_relative_position", "the attention scores", (None, False)),
    Setting("auto_map.AutoConfig", "the code of the model, which is not run", (None,)),
    Setting("auto_map.AutoModel", "the code of the model, which is not run", (None,)),
)
# The same file, for the heads only.
HUGGING_FACE_HEADS = (
    Setting("tie_word_embeddings", "the output matrix of the masked language model"),
    Setting("auto_map.AutoModelForSequenceClassification", "the code of the head, which is not run", (None,)),
    Setting("auto_map.AutoModelForTokenClassification", "the code of the head, which is not run", (None,)),
    Setting("auto_map.AutoModelForQuestionAnswering", "the code of the head, which is not run", (None,)),
    Setting("auto_map.AutoModelForMaskedLM", "the code of the head, which is not run", (None,)),
)
# bert_config.json of google-research/bert and of the Model Garden. Read by `BertConfig.from_json`, `task_config.py` and
# `google_checkpoint.py`, which also keeps a sentence encoder's settings there.
GOOGLE_CONFIG = (
    *(*_SIZES, *_VARIANTS, *_TASK, *_ARCHITECTURE),
    Setting("sentence_encoder", "what follows the encoder"),
    Setting("use_relative_position", "the attention scores", (None, False)),
)

# tokenizer_config.json. Read by `tokenizer_files.py`.
TOKENIZER_CONFIG = (
    Setting("tokenizer_class", "the rules of the tokenizer"),
    Setting("do_lower_case", "the case of the text"),
    Setting("strip_accents", "the accents of the text"),
    Setting("tokenize_chinese_chars", "where Chinese text is split"),
    Setting("do_basic_tokenize", "where text is split into words"),
    Setting("model_max_length", "the longest input"),
    Setting("added_tokens_decoder", "the tokens that stay whole"),
    Setting("additional_special_tokens", "the tokens that stay whole"),
    Setting("extra_special_tokens", "the tokens that stay whole"),
    Setting("never_split", "the tokens that stay whole", (None, [])),
    Setting("clean_text", "the characters that are removed", (None, True)),
    Setting("wordpieces_prefix", "which pieces continue a word", (None, "##")),
    Setting("split_special_tokens", "the tokens that stay whole", (None, False)),
    Setting("padding_side", "the positions of the tokens in a batch", (None, "right")),
    Setting("truncation_side", "which tokens of a long text are kept", (None, "right")),
    Setting(
        "model_input_names",
        "the segments of a pair and the attention to padding",
        (
            None,
            *map(list, itertools.permutations(("input_ids", "token_type_ids", "attention_mask"))),
            *map(list, itertools.permutations(("input_ids", "attention_mask"))),
        ),
    ),
    *(
        Setting(f"{name}_token", "the special tokens", (None, f"[{name.upper()}]"))
        for name in ("pad", "unk", "cls", "sep", "mask")
    ),
)
# special_tokens_map.json. Read by `tokenizer_files.py`.
SPECIAL_TOKENS_MAP = tuple(
    setting
    for setting in TOKENIZER_CONFIG
    if setting.key.endswith("_token") or setting.key in ("additional_special_tokens", "extra_special_tokens")
)
# tokenizer.json. Read by `tokenizer_files.py`.
TOKENIZER_JSON = (
    Setting("model.vocab", "the ids of the pieces"),
    Setting("model.max_input_chars_per_word", "how long a word may be"),
    Setting("added_tokens", "the tokens that stay whole"),
    Setting("normalizer.lowercase", "the case of the text"),
    Setting("normalizer.strip_accents", "the accents of the text"),
    Setting("normalizer.handle_chinese_chars", "where Chinese text is split"),
    Setting("normalizer", "the characters of the text"),
    Setting("normalizer.clean_text", "the characters that are removed", (None, True)),
    Setting("pre_tokenizer", "where text is split into words"),
    Setting("post_processor", "where special tokens are added"),
    Setting("truncation.direction", "which tokens of a long text are kept", (None, "Right")),
    Setting("padding.direction", "the positions of the tokens in a batch", (None, "Right")),
    Setting("model.type", "how words are split into pieces", ("WordPiece",)),
    Setting("model.unk_token", "the special tokens", ("[UNK]",)),
    Setting("model.continuing_subword_prefix", "which pieces continue a word", ("##",)),
)

# sentence_bert_config.json. Read by `sentence_transformers_folder.py`.
SENTENCE_BERT_CONFIG = (
    Setting("max_seq_length", "the longest input"),
    Setting("do_lower_case", "the case of the text"),
)
# The same file, for what follows the encoder.
SENTENCE_BERT_MODEL = (
    Setting("transformer_task", "which outputs of the encoder are pooled", (None, "feature-extraction")),
    Setting("module_output_name", "which outputs of the encoder are pooled", (None, "token_embeddings")),
    *(
        Setting(key, "the model that is built", (None, {}))
        for key in ("model_args", "config_args", "tokenizer_args", "model_kwargs", "config_kwargs", "processor_kwargs")
    ),
)
# config_sentence_transformers.json. Read by `sentence_transformers_folder.py`.
SENTENCE_PROMPTS = (
    Setting("prompts", "the texts that a caller may put in front of others"),
    Setting("default_prompt_name", "every text, because its prompt is put in front"),
    Setting("similarity_fn_name", "how a caller compares the vectors"),
    Setting("model_type", "what is made of the hidden states", (None, "SentenceTransformer")),
    Setting("truncate_dim", "the size of the vectors", (None,)),
)
# config.json of a pooling, a dense layer and a normalization of sentence-transformers. Read by
# `sentence_transformers_steps.py`.
SENTENCE_POOLING = (
    Setting("pooling_mode", "how the hidden states are pooled"),
    Setting("pooling_mode_cls_token", "how the hidden states are pooled"),
    Setting("pooling_mode_max_tokens", "how the hidden states are pooled"),
    Setting("pooling_mode_mean_tokens", "how the hidden states are pooled"),
    Setting("pooling_mode_mean_sqrt_len_tokens", "how the hidden states are pooled"),
    Setting("pooling_mode_weightedmean_tokens", "how the hidden states are pooled"),
    Setting("pooling_mode_lasttoken", "how the hidden states are pooled"),
    Setting("include_prompt", "which tokens are pooled: a prompt is a part of its text here", (None, True)),
)
_VECTOR_ONLY = (
    Setting("module_input_name", "what is transformed", (None, "sentence_embedding")),
    Setting("module_output_name", "what is transformed", (None, "sentence_embedding")),
)
SENTENCE_DENSE = (
    Setting("in_features", "the shape of the kernel"),
    Setting("out_features", "the size of the vectors"),
    Setting("bias", "whether a bias is added"),
    Setting("activation_function", "the vectors"),
    Setting("use_residual", "the vectors", (None, False)),
    *_VECTOR_ONLY,
)
SENTENCE_NORMALIZE = _VECTOR_ONLY

# config.json, tokenizer.json and preprocessor.json of keras-hub. Read by `keras_hub.py`. task.json describes a head,
# which is not read: its weights are listed as dropped.
KERAS_HUB_CONFIG = (
    Setting("class_name", "the architecture", ("BertBackbone",)),
    Setting("config.vocabulary_size", "the rows of the word embedding"),
    Setting("config.num_layers", "the number of encoder blocks"),
    Setting("config.num_heads", "the number of attention heads"),
    Setting("config.hidden_dim", "the width of the hidden states"),
    Setting("config.intermediate_dim", "the width of the feed-forward part"),
    Setting("config.dropout", "the dropout in training"),
    Setting("config.max_sequence_length", "the longest input"),
    Setting("config.num_segments", "the number of segments"),
    Setting("initializer_range", "the initial weights of new layers"),
)
KERAS_HUB_TOKENIZER = (
    Setting("class_name", "the rules of the tokenizer", ("BertTokenizer",)),
    Setting("config.lowercase", "the case of the text"),
    Setting("config.strip_accents", "the accents of the text"),
    Setting("config.split", "where text is split into words", (None, True)),
    Setting("config.split_on_cjk", "where Chinese text is split"),
    Setting("config.suffix_indicator", "which pieces continue a word", (None, "##")),
    Setting("config.oov_token", "the special tokens", (None, "[UNK]")),
    Setting("config.special_tokens_in_strings", "special tokens in a text", (None, False)),
)
KERAS_HUB_PREPROCESSOR = (
    Setting("config.sequence_length", "the longest input"),
    Setting("config.truncate", "which tokens of a long pair are kept", (None, "round_robin")),
)
