"""Which tables a config names, and what each of them still lacks: listings and fingerprints alone.

Everything is looked up when it is first asked for, so asking for the images alone never loads
a model. A fresh instance sees the workspace as it is now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from wslabel.config import fingerprint
from wslabel.label_model.parameters import Parameters
from wslabel.settings import WHERE_IT_RUNS, Optimization, Project, Training
from wslabel.steps.constants import Constants
from wslabel.steps.examples import Inputs, Part
from wslabel.steps.extractors import Extractor, extractors
from wslabel.steps.featurize import ShardWork
from wslabel.steps.group import GroupWork, works
from wslabel.steps.jury import Court, court
from wslabel.steps.networks import start_sha256
from wslabel.steps.scores import Scores
from wslabel.storage.location import Location
from wslabel.storage.table import Generations, Table, error_count, shard_name


@dataclass(frozen=True)
class Derived:
    """A group table: where it is, the groups it consists of, those that are missing."""

    table: Table
    works: list[GroupWork]
    missing: list[GroupWork]

    @property
    def state(self) -> list[str]:
        """Name the files it consists of; with its folder they determine its content."""
        return [work.name for work in self.works]


NETWORK = "network.safetensors"
NOT_IN_NETWORK = WHERE_IT_RUNS | {"labels", "variants", "weights"}
"""Settings that do not change which network comes out, or count by what they stand for."""


@dataclass(frozen=True)
class Network:
    """One network: its name for people, its settings, where it is kept, what it learns from."""

    name: str
    how: Training
    folder: str
    labels: Derived | None = None
    parts: tuple[Part, ...] = ()
    splits: tuple[str, ...] = ("train",)

    @property
    def file(self) -> str:
        """Name the file whose presence says that it is trained."""
        return f"{self.folder}/{NETWORK}"


class Tables:
    """The tables of one project."""

    def __init__(self, project: Project, *, refresh: bool = False, read_only: bool = False) -> None:
        """Open a project's workspace.

        Args:
            project: whose tables they are.
            refresh: find thresholds by quantile anew.
            read_only: make no constants; a table whose name needs a missing one is `NotMade`.
        """
        self.project = project
        self._refresh = refresh
        self.location = Location(project.workspace, project.s3)
        self.constants = Constants(self.location, read_only)

    @cached_property
    def images(self) -> Table:
        """The manifest."""
        return Table(self.location, "images", plain=False)

    @cached_property
    def shards(self) -> list[int]:
        """The shards that were ingested."""
        return sorted(self.images.generations())

    @cached_property
    def extractors(self) -> dict[str, Extractor]:
        """All features by name; the precision of some may still be open."""
        return {e.name: e for e in extractors(self.project, self.constants)}

    def is_open(self, name: str) -> bool:
        """Tell whether a feature's table has no name yet, for want of a measured precision."""
        extractor = self.extractors[name]
        return extractor.is_network and extractor.precision is None

    @cached_property
    def generations(self) -> dict[str, Generations]:
        """Newest generation of each shard in each feature."""
        return {
            name: {} if self.is_open(name) else extractor.table(self.location).generations()
            for name, extractor in self.extractors.items()
        }

    def lacking(self, retry: frozenset[str] = frozenset()) -> list[ShardWork]:
        """List the shards that some feature lacks, or in which images failed with some kinds."""
        found: dict[int, dict[str, int | None]] = {}
        for name, known in self.generations.items():
            for shard in self.shards:
                if shard not in known:
                    found.setdefault(shard, {})[name] = None
                elif retry and self._has_errors(name, shard, retry):
                    found.setdefault(shard, {})[name] = known[shard]
        return [ShardWork(shard, names, retry) for shard, names in sorted(found.items())]

    def _has_errors(self, name: str, shard: int, kinds: frozenset[str]) -> bool:
        table = self.extractors[name].table(self.location)
        file = shard_name(shard, self.generations[name][shard])
        if error_count(table.footer(file)) == 0:
            return False
        return not kinds.isdisjoint(table.read(file, ["error"]).column("error").to_pylist())

    @cached_property
    def court(self) -> Court:
        """The labeling functions with their constants."""
        scores = Scores(self.location, self.generations, self.constants, self._refresh)
        return court(self.project, self.extractors, self.constants, scores)

    @cached_property
    def voting_features(self) -> list[str]:
        """Features that some labeling function reads."""
        columns = self.court.jury.reads
        return sorted({c.rpartition(".")[0] for c in columns if "." in c})

    def _derived(self, folder: str, inputs: Mapping[str, Generations]) -> Derived:
        table = Table(self.location, folder)
        groups = works(self.shards, inputs)
        done = set(table.names())
        return Derived(table, groups, [work for work in groups if work.name not in done])

    def whole(self, folder: str) -> Derived:
        """A group table that hangs on the manifest alone, or on what its folder's name says."""
        return self._derived(folder, {})

    @cached_property
    def votes(self) -> Derived:
        """The votes table."""
        folders = {name: self.extractors[name].folder for name in self.voting_features}
        identity = fingerprint(self.court.identity, folders)
        inputs = {name: self.generations[name] for name in self.voting_features}
        return self._derived(f"votes/{identity}", inputs)

    @cached_property
    def label_model(self) -> str:
        """Name the constant that holds the fitted label model."""
        votes = self.votes
        settings = self.project.label_model
        return f"label_model-{fingerprint(settings, votes.table.folder, votes.state)}"

    @property
    def fitted(self) -> Parameters | None:
        """What the label model learnt; None where it is not fitted yet, or learns nothing."""
        found = self.constants.get(self.label_model)
        return None if found is None else Parameters.from_json(found["parameters"])

    @cached_property
    def labels(self) -> Derived:
        """The labels table; refitted and so renamed when votes are added."""
        identity = self.label_model.partition("-")[2]
        inputs = {name: self.generations[name] for name in self.voting_features}
        return self._derived(f"labels/{identity}", inputs)

    def inputs_of(self, how: Optimization) -> Inputs:
        """Say what a network reads of an image."""
        preprocess = None if how.network == "linear" else how.preprocess
        return Inputs(self.location, self.extractors[how.feature].folder, preprocess)

    def input_shards(self, how: Optimization) -> list[tuple[int, int]]:
        """List the shards that a network reads, with their generations."""
        known = self.generations[how.feature]
        return [(shard, known.get(shard, 0)) for shard in self.shards]

    @cached_property
    def networks(self) -> dict[str, Network]:
        """The networks that the config trains, by name."""
        training = self.project.training
        if training is None:
            return {}
        return {name: self.network(name, training.variant(name)) for name in training.names}

    def network(
        self,
        name: str,
        how: Training,
        labels: Derived | None = None,
        parts: tuple[Part, ...] = (),
        splits: tuple[str, ...] = ("train",),
    ) -> Network:
        """Name a network.

        Args:
            name: for people.
            how: its settings, with one kind of label.
            labels: that it learns from instead of the label model's.
            parts: it learns from the images of these splits that are in all of them.
            splits: whose images it learns from.
        """
        (kind,) = how.labels
        settings = how.model_dump(mode="json", exclude=NOT_IN_NETWORK)
        weak = kind != "original" or how.validate_on == "weak"
        given = [d for d in (self.labels if weak else None, labels) if d is not None]
        states = [[derived.table.folder, derived.state] for derived in given]
        slice_ = [splits, *([p.column.folder, p.fold, p.is_held] for p in parts)]
        identity = fingerprint(
            settings, kind, self._reads(how), states, self._start(how), self.project.classes, slice_
        )
        return Network(name, how, f"models/{kind}-{identity}", labels, parts, splits)

    def _reads(self, how: Optimization) -> list[object]:
        return [self.extractors[how.feature].folder, self.input_shards(how)]

    def _start(self, how: Optimization) -> str | None:
        if how.weights == "pretrained":
            return self.pretrained
        return start_sha256(how, self.project.s3)

    @cached_property
    def pretrained(self) -> str:
        """Name the folder of the body that learns from images alone."""
        how = self.project.pretraining
        assert how is not None
        settings = how.model_dump(mode="json", exclude=NOT_IN_NETWORK | {"probe"})
        identity = fingerprint(settings, self._reads(how), self._start(how))
        return f"models/{how.method}-{identity}"

    @property
    def evaluation(self) -> str:
        """Name the file that holds the evaluation of what a config says."""
        parts: list[object] = [self.project.classes, self.shards]
        if self.project.labeling_functions:
            parts += [self.votes.table.folder, self.votes.state, self.labels.table.folder]
        parts += [[name, net.folder] for name, net in self.networks.items()]
        return f"reports/evaluation-{fingerprint(parts)}.json"

    @property
    def report(self) -> str:
        """Name the page that shows what a config says."""
        identity = self.evaluation.rpartition("-")[2].removesuffix(".json")
        return f"reports/report-{identity}.html"

    def predictions(self, network: Network) -> Derived:
        """The predictions of a trained network."""
        inputs = {"input": self.generations[network.how.feature]}
        return self._derived(network.folder.replace("models/", "predictions/", 1), inputs)
