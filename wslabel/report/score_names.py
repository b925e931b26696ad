"""What people call the figures of a network."""

WORDS = {
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC",
    "negative_log_likelihood": "negative log-likelihood",
}


def score_name(key: str) -> str:
    """Name a figure, of a split too.

    >>> score_name("validation_roc_auc"), score_name("calibration_error")
    ('validation ROC-AUC', 'calibration error')
    """
    for word, name in WORDS.items():
        key = key.replace(word, name)
    return key.replace("_", " ")
