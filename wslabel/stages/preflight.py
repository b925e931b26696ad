"""Preflight: refuse what needs no image to be found wrong, before the first image is fetched.

What the project file asks for is tried on what is known without them: the listing, the weights'
own cards, and a few images that are made up. What only real images can tell is left to the stages.
"""

from dataclasses import replace

import numpy as np

from wslabel import schema
from wslabel.engine.progress import tell
from wslabel.errors import ConfigError, LabelingFunctionError
from wslabel.labeling.applier import LFApplier
from wslabel.labeling.python import Unseen
from wslabel.project.project import Project
from wslabel.workspace.batches import refuse_unknown_columns
from wslabel.workspace.functions import Functions
from wslabel.workspace.images import class_ids, read_images
from wslabel.workspace.made_up import made_up_batch
from wslabel.workspace.workspace import Workspace

CERTAIN = (Unseen, NameError, ImportError, SyntaxError)
"""Exceptions that no other values would have spared a function."""


def run(workspace: Workspace) -> None:
    """Make and call the labeling functions, and see that there is the truth that is asked for.

    Raises:
        ConfigError: A function names a column, category or image that is none, or truth is missing.
        WeightsError: Word vectors or a text tower cannot be read.
        LabelingFunctionError: A function gives something else than votes.
    """
    if workspace.project.labeling_functions:
        # Thresholds by rank need embeddings; they alone stay open.
        context = replace(workspace.function_context, quantiles=None)
        functions = context.make_all(workspace.project.labeling_functions)
        refuse_unknown_columns(workspace, functions.applier.functions)
        tuple(functions.modules)  # imported now, so that what fails is not blamed on an image
        call(workspace, functions)
    refuse_missing_truth(workspace)


def call(workspace: Workspace, functions: Functions) -> None:
    """Call each function once; a failure that may be of the made-up values alone is only told.

    Raises:
        LabelingFunctionError: A function gives something else than votes, or can never work.
    """
    batch = made_up_batch(workspace, functions.applier.reads)
    for lf in functions.applier.functions:
        try:
            LFApplier([lf], functions.applier.num_classes)(batch)
        except LabelingFunctionError as error:
            if error.__cause__ is None or isinstance(error.__cause__, CERTAIN):
                raise
            tell(f"warning: {error}; where it does so on a real one, the stage vote will stop")


def refuse_missing_truth(workspace: Workspace) -> None:
    """See that some image of each split has the truth that training is asked to use.

    Raises:
        ConfigError: Names the key and the split.
    """
    missing = _uses_of_truth(workspace.project)
    for shard in workspace.shards:  # shards are random samples: mostly the first one tells
        if not missing:
            return
        images = read_images(workspace.location, [shard], ["split", schema.TRUTH])
        known_N = class_ids(images.column(schema.TRUTH), tuple(workspace.project.classes)) >= 0
        there = np.unique(images.column("split").to_numpy()[known_N])
        missing = [(key, split) for key, split in missing if split not in there]
    for key, split in missing:
        raise ConfigError(
            f"{key} needs truth, and no image of the split '{split}' has one of the classes as its "
            "truth; change that, or let images.classes say what the source's names mean"
        )


def _uses_of_truth(project: Project) -> list[tuple[str, str]]:
    """Give the settings that ask for truth, each with a split that must have some."""
    training, pretraining = project.training, project.pretraining
    uses: list[tuple[str, str]] = []
    if training is not None:
        for name in training.names:
            where = f"training.variants.{name}" if name in training.variants else "training"
            network = training.variant(name)
            if network.labels == ["original"]:
                uses.append((f"{where}.labels: original", "train"))
            if network.validate_on == "truth":
                uses.append((f"{where}.validate_on: truth", "val"))
    if pretraining is not None and pretraining.probe is not None:
        splits = ("train", "test") if pretraining.probe == "truth" else ("test",)
        uses += [(f"pretraining.probe: {pretraining.probe}", split) for split in splits]
    return uses
