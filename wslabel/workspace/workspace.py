"""Which tables a project names, and what each of them still lacks: listings and fingerprints alone.

Everything is looked up when it is first asked for, so asking for the images alone never loads a
model. A fresh instance sees the workspace as it is now.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wslabel.config.fingerprint import fingerprint, named
from wslabel.config.optimization import Optimization
from wslabel.config.training import Training
from wslabel.features.decoder import decoder_of
from wslabel.label_model.label_model import FittedLabelModel
from wslabel.labeling.labeling_function import features_of
from wslabel.project.project import Project
from wslabel.storage.location import Location
from wslabel.storage.table import Generations, Table, error_count, shard_name, superseded
from wslabel.workspace.constants import Constants, Parse, as_a, as_it_is, read_json
from wslabel.workspace.extractors import Computed, Extractor, extractors
from wslabel.workspace.functions import FunctionContext, Functions
from wslabel.workspace.groups import GroupTable, group_items
from wslabel.workspace.networks import CARD, NETWORK, NOT_IN_NETWORK, Card, Network
from wslabel.workspace.quantiles import Quantiles
from wslabel.workspace.shard_reader import FoldPart
from wslabel.workspace.weight_files import start_sha256


@dataclass(frozen=True)
class ShardItem:
    """What one shard lacks.

    Attributes:
        key: Number of the shard.
        missing: Newest generation of each feature to write; None where there is none yet.
        retry: Error kinds to take up again where there is one.
    """

    key: int
    missing: Mapping[str, int | None]
    retry: frozenset[str] = frozenset()


class Workspace:
    """The tables of one project."""

    def __init__(
        self,
        project: Project,
        *,
        refresh: bool = False,
        read_only: bool = False,
        shards: Sequence[int] | None = None,
    ) -> None:
        """Open a project's workspace.

        Args:
            project: Project whose tables they are.
            refresh: Whether thresholds by quantile are found anew.
            read_only: Whether no constants are made; a table whose name needs a missing one is
                `NotMade`.
            shards: Shards that are looked at, whatever is ingested meanwhile; None for all.
        """
        self.project = project
        self._refresh, self._read_only, self._only = refresh, read_only, shards
        self.location = Location(project.workspace, project.s3)
        self.constants = Constants(self.location, read_only)

    def anew(self, *, refresh: bool | None = None) -> "Workspace":
        """Look at the same shards of the same project as they are now."""
        return Workspace(
            self.project,
            refresh=self._refresh if refresh is None else refresh,
            read_only=self._read_only,
            shards=self._only,
        )

    @cached_property
    def images(self) -> Table:
        """The manifest."""
        return Table(self.location, "images", plain=False)

    @cached_property
    def shards(self) -> list[int]:
        """The shards that were ingested."""
        return sorted(self.images.generations() if self._only is None else self._only)

    @cached_property
    def extractors(self) -> dict[str, Extractor]:
        """All features by name; the precision of some may still be open."""
        return extractors(self.project, self.constants)

    @cached_property
    def generations(self) -> dict[str, Generations]:
        """Newest generation of each shard in each feature."""
        return {
            name: {} if extractor.is_open else self._known(extractor.table(self.location))
            for name, extractor in self.extractors.items()
        }

    def _known(self, table: Table) -> Generations:
        known = table.generations()
        return known if self._only is None else {s: known[s] for s in self._only if s in known}

    def keep_precisions_of(self, other: "Workspace") -> None:
        """Let features be computed as in another workspace, not as is fastest on this machine."""
        for extractor in self.extractors.values():
            precision = other.constants.get(f"precision-{extractor.identity}", as_a(Computed))
            if extractor.is_network and precision is not None:
                self.constants.keep(f"precision-{extractor.identity}", precision)

    def missing_shards(self, retry: frozenset[str] = frozenset()) -> list[ShardItem]:
        """List the shards that some feature lacks, or in which images failed with some kinds."""
        missing: dict[int, dict[str, int | None]] = {}
        for name, known in self.generations.items():
            for shard in self.shards:
                if shard not in known:
                    missing.setdefault(shard, {})[name] = None
                elif retry and self._has_errors(name, shard, retry):
                    missing.setdefault(shard, {})[name] = known[shard]
        return [ShardItem(shard, names, retry) for shard, names in sorted(missing.items())]

    def _has_errors(self, name: str, shard: int, kinds: frozenset[str]) -> bool:
        table = self.extractors[name].table(self.location)
        file = shard_name(shard, self.generations[name][shard])
        if error_count(table.footer(file)) == 0:
            return False
        return not kinds.isdisjoint(table.read(file, ["error"]).column("error").to_pylist())

    @cached_property
    def functions(self) -> Functions:
        """The labeling functions with their constants."""
        return self.function_context.make_all(self.project.labeling_functions)

    @cached_property
    def function_context(self) -> FunctionContext:
        """What labeling functions may ask for while they are made."""
        return FunctionContext(
            classes=self.project.classes,
            extractors=self.extractors,
            constants=self.constants,
            quantiles=Quantiles(
                location=self.location,
                generations=self.generations,
                constants=self.constants,
                refresh=self._refresh,
            ),
            s3=self.project.s3,
            decoder=decoder_of(self.project.engine),
        )

    @cached_property
    def voting_features(self) -> list[str]:
        """Features that some labeling function reads."""
        return features_of(self.functions.applier.reads, self.extractors)

    def derived(self, folder: str, inputs: Mapping[str, Generations] | None = None) -> GroupTable:
        """Look at a derived table.

        Args:
            folder: Folder of the table.
            inputs: Generations of the tables that it is made of; None where it hangs on the
                manifest alone, or on what its folder's name says.
        """
        table = Table(self.location, folder)
        items = group_items(self.shards, inputs or {})
        done = table.names()
        return GroupTable(
            table=table,
            items=items,
            missing=[item for item in items if item.name not in done],
            leftovers=tuple(superseded(done, [item.name for item in items])),
        )

    def _voting_generations(self) -> dict[str, Generations]:
        return {name: self.generations[name] for name in self.voting_features}

    @cached_property
    def votes(self) -> GroupTable:
        """The votes table."""
        folders = {name: self.extractors[name].folder for name in self.voting_features}
        identity = fingerprint(self.functions.identity, folders)
        return self.derived(f"votes/{identity}", self._voting_generations())

    @cached_property
    def label_model(self) -> str:
        """Name the constant that holds the fitted label model."""
        settings = self.project.label_model
        return f"label_model-{fingerprint(settings, self.votes.table.folder, self.votes.state)}"

    @property
    def fitted(self) -> FittedLabelModel | None:
        """What the label model learnt; None where it is not fitted yet, or learns nothing."""
        restore = self.project.label_model.restore
        model: FittedLabelModel | None = self.constants.get(
            self.label_model, lambda kept: restore(kept["parameters"])
        )
        return model

    @cached_property
    def labels(self) -> GroupTable:
        """The labels table; refitted and so renamed when votes are added."""
        identity = self.label_model.partition("-")[2]
        return self.derived(f"labels/{identity}", self._voting_generations())

    @cached_property
    def networks(self) -> dict[str, Network]:
        """The networks that the project trains, by name."""
        training = self.project.training
        if training is None:
            return {}
        return {name: self.network(name, training.variant(name)) for name in training.names}

    def network(
        self,
        name: str,
        settings: Training,
        labels: GroupTable | None = None,
        parts: tuple[FoldPart, ...] = (),
        splits: tuple[str, ...] = ("train",),
    ) -> Network:
        """Name a network.

        Args:
            name: Name for people.
            settings: How it is trained, with one kind of label.
            labels: Labels that it learns from instead of the label model's.
            parts: It learns from the images of these splits that are in all of them.
            splits: Splits whose images it learns from.
        """
        (kind,) = settings.labels
        plain = _named(settings)
        is_weak = kind != "original" or settings.validate_on == "weak"
        given = [d for d in (self.labels if is_weak else None, labels) if d is not None]
        states = [[derived.table.folder, derived.state] for derived in given]
        slice_ = [splits, *([p.folds.folder, p.fold, p.is_held] for p in parts)]
        classes, start = self.project.classes, self._start(settings)
        identity = fingerprint(plain, kind, self._reads(settings), states, start, classes, slice_)
        return Network(
            name=name,
            settings=settings,
            folder=f"models/{kind}-{identity}",
            labels=labels,
            parts=parts,
            splits=splits,
        )

    def input_shards(self, settings: Optimization) -> list[tuple[int, int]]:
        """List the shards that a network reads, with their generations."""
        known = self.generations[settings.feature]
        return [(shard, known.get(shard, 0)) for shard in self.shards]

    def _reads(self, settings: Optimization) -> list[object]:
        return [self.extractors[settings.feature].folder, self.input_shards(settings)]

    def _start(self, settings: Optimization) -> str | None:
        if settings.weights == "pretrained":
            return self.pretrained
        return start_sha256(settings, self.project.s3)

    @cached_property
    def pretrained(self) -> str:
        """Name the folder of the body that learns from images alone."""
        settings = self.project.pretraining
        assert settings is not None
        plain = _named(settings)
        identity = fingerprint(plain, self._reads(settings), self._start(settings))
        return f"models/{settings.method}-{identity}"

    @property
    def pretrained_file(self) -> str:
        """Name the file whose presence says that the body is trained."""
        return f"{self.pretrained}/{NETWORK}"

    @property
    def probe(self) -> str:
        """Name the constant that holds what a linear probe makes of the body."""
        settings = self.project.pretraining
        assert settings is not None
        return f"probe-{fingerprint(self.pretrained, settings.probe)}"

    def card(self, network: Network) -> Card:
        """Read what the card of a trained network tells of its training."""
        card: Card = self.read_json(f"{network.folder}/{CARD}", as_a(Card))
        return card

    def predictions(self, network: Network) -> GroupTable:
        """The predictions of a trained network."""
        folder = network.folder.replace("models/", "predictions/", 1)
        return self.derived(folder, {"input": self.generations[network.settings.feature]})

    @property
    def evaluation(self) -> str:
        """Name the file that holds the evaluation of what a project says."""
        parts: list[object] = [self.project.classes, self.shards]
        if self.project.labeling_functions:
            parts += [self.votes.table.folder, self.votes.state, self.labels.table.folder]
        parts += [[name, network.folder] for name, network in self.networks.items()]
        return f"reports/evaluation-{fingerprint(parts)}.json"

    @property
    def report(self) -> str:
        """Name the page that shows what a project says."""
        identity = self.evaluation.rpartition("-")[2].removesuffix(".json")
        return f"reports/report-{identity}.html"

    def read_json(self, name: str, parse: Parse = as_it_is) -> Any:
        """Read one of the small files of the workspace.

        Raises:
            StorageError: It is not as wslabel writes it.
        """
        return read_json(self.location, name, parse)

    def write_json(self, name: str, value: object) -> None:
        """Keep a small file, unless it is there already."""
        self.location.create(name, json.dumps(value, sort_keys=True, indent=1).encode())


def _named(settings: Optimization) -> dict[str, object]:
    """Give what settings name a network by: what they compute in counts, not how it was chosen."""
    return named(settings, NOT_IN_NETWORK) | {"precision": settings.computed_precision}
