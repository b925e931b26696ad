"""Evaluations of any number of classes: networks that mistake some classes for others."""

from functools import cache

import numpy as np

from wslabel.metrics import confusion
from wslabel.report.evaluation import Evaluation, FunctionScore, Performance
from wslabel.report.judging import Answers, HardLabels, judge, judge_labels

SOME = ("jungle", "sea", "greater flamingo", "city street at night", "snow-covered_field")
BIRDS = ("northern cardinal", "great grey shrike", "ruby-throated hummingbird")


def names(num_classes: int) -> tuple[str, ...]:
    more = [f"{BIRDS[index % 3]} {index}" for index in range(num_classes)]
    return (*SOME, *more)[:num_classes]


def answers(num_classes: int, num_images: int, seed: int = 0) -> Answers:
    rng = np.random.default_rng(seed)
    truth_N = rng.integers(0, num_classes, num_images)
    logits_NK = rng.normal(0, 1, (num_images, num_classes))
    logits_NK[np.arange(num_images), truth_N] += rng.uniform(0.5, 4, num_classes)[truth_N]
    probs_NK = np.exp(logits_NK)
    return Answers(truth_N, probs_NK / probs_NK.sum(axis=1, keepdims=True))


def labels(num_classes: int, num_images: int, seed: int) -> Performance:
    found = answers(num_classes, num_images, seed)
    labeled_N = np.random.default_rng(seed).random(num_images) < 0.9
    label_N = found.probs_NK.argmax(axis=1)[labeled_N]
    counts = confusion(found.truth_N[labeled_N], label_N, num_classes)
    return judge_labels(HardLabels(num_images, counts), found)


def function(index: int, classes: tuple[str, ...]) -> FunctionScore:
    polarity = tuple(range(index % len(classes) + 1))[:40]
    return FunctionScore(
        name=f"like_{classes[index % len(classes)].replace(' ', '_')}_{index}",
        polarity=polarity,
        classes=tuple(classes[label] for label in polarity),
        coverage=0.25,
        overlaps=0.125,
        conflicts=1 / 3,
        correct=1_234 + index,
        incorrect=56,
        empirical_accuracy=0.95,
    )


@cache
def evaluation(num_classes: int, num_functions: int = 9) -> Evaluation:
    num_images = 3_000
    classes = names(num_classes)
    return Evaluation(
        classes=classes,
        num_truths=num_images,
        functions=tuple(function(index, classes) for index in range(num_functions)),
        labels={
            kind: {
                split: labels(num_classes, num_images, seed)
                for seed, split in enumerate(("test", "train", "val"))
            }
            for kind in ("label", "majority_label")
        },
        networks={
            name: judge(answers(num_classes, num_images, seed), num_classes)
            for seed, name in enumerate(("original", "soft", "careful"))
        },
    )
