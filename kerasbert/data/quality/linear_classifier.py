"""The linear model that needs no BERT: a baseline, and a second opinion on labels."""

from typing import Any

from kerasbert.errors import BadInputError

# Texts without a word of two letters, e.g. of Chinese characters or digits, have features too.
_EVERY_SIGN = r"(?u)\b\w+\b|[^\w\s]"


def linear_classifier() -> Any:
    """Return logistic regression on TF-IDF features of words and word pairs, as an untrained scikit-learn pipeline.

    Raises:
        BadInputError: scikit-learn is not installed.

    Example:
        >>> model = linear_classifier().fit(["a good day", "a bad day"], ["good", "bad"])
        >>> model.predict(["so good"]).tolist()
        ['good']
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
    except ImportError as error:
        raise BadInputError(
            'A linear model needs scikit-learn, which is not installed. Run: pip install "kerasbert[data-check]"'
        ) from error
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_EVERY_SIGN),
        # One binary model for each label is trained several times as fast as one for all, and finds more wrong labels.
        OneVsRestClassifier(LogisticRegression(C=10.0, solver="liblinear", max_iter=1000)),
    )
