"""One shard through all extractors that lack it: every image is fetched and decoded once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import batches, to_column
from wslabel.engine.work import Receipt
from wslabel.errors import TooManyErrors
from wslabel.features.decode import Undecodable, decode
from wslabel.settings import S3, Preprocess
from wslabel.sources.fetch import Fetcher, Unfetchable
from wslabel.steps import doors, isolation
from wslabel.steps.extractors import Extractor, make_model, with_precision
from wslabel.storage.location import Location
from wslabel.storage.table import Table, in_pieces, shard_name

FETCHED_AHEAD = 4
"""Images fetched ahead of the decoder, times the number of fetching threads."""

FEW_ERRORS = 3
"""So many failed images never stop a job, however small its shards are."""


@dataclass(frozen=True)
class ShardWork:
    """What one shard lacks.

    Attributes:
        key: the shard.
        lacking: the newest generation of each feature to write; None where there is none yet.
        retry: error kinds to take up again where there is one.
    """

    key: int
    lacking: Mapping[str, int | None]
    retry: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PreparedImage:
    """One image, ready for the models: an error, or values and uint8 inputs."""

    error: str | None = None
    values: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    inputs: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class PreparedShard:
    """Rows to compute, their errors, and the stacked inputs of those without one."""

    rows: np.ndarray
    errors: tuple[str | None, ...]
    stacks: tuple[np.ndarray, ...]
    image_ids: pa.Array


@dataclass(frozen=True)
class ImagePreparer:
    """Bytes to a prepared image; runs in workers and, isolated, in children of theirs."""

    by_value: tuple[tuple[str, Any], ...]
    inputs: tuple[Preprocess, ...]
    max_pixels: int

    def __call__(self, fetched: bytes | str) -> PreparedImage:
        """Prepare what was fetched: bytes, or the kind of error that came instead."""
        if isinstance(fetched, str):
            return PreparedImage(fetched)
        try:
            decoded = decode(fetched, self.max_pixels)
        except Undecodable as error:
            return PreparedImage(error.kind)
        values = {n: doors.feature(s.kind).compute(decoded, s) for n, s in self.by_value}
        resize = doors.room("features.resize") if self.inputs else None
        inputs = tuple(resize.prepare(decoded, how) for how in self.inputs) if resize else ()
        return PreparedImage(None, values, inputs)


@dataclass(frozen=True)
class Featurize:
    """The step: prepare fetches, decodes and commits values; finish runs the networks."""

    workspace: Location
    images_s3: S3
    weights_s3: S3
    extractors: tuple[Extractor, ...]
    fetch_threads: int
    max_pixels: int
    batch_size: int
    max_error_share: float

    @cached_property
    def _fetch(self) -> Fetcher:
        return Fetcher(self.images_s3)

    @cached_property
    def _models(self) -> dict[str, Any]:
        return {}

    def _model(self, extractor: Extractor) -> Any:
        if extractor.name not in self._models:
            self._models[extractor.name] = make_model(extractor, self.weights_s3)
        return self._models[extractor.name]

    def _lacking(self, work: ShardWork) -> list[Extractor]:
        return [e for e in self.extractors if e.name in work.lacking]

    def prepare(self, work: ShardWork, *, isolated: bool) -> PreparedShard:
        """Fetch and decode the images of a shard; commit the features that need no network."""
        lacking = self._lacking(work)
        images = Table(self.workspace, "images").read(shard_name(work.key), ["image_id", "uri"])
        rows = self._rows(work, lacking, images.num_rows)
        hows = input_kinds(lacking)
        preparer = ImagePreparer(
            tuple((e.name, e.settings) for e in lacking if not e.is_network), hows, self.max_pixels
        )
        uris = images.column("uri").take(pa.array(rows)).to_pylist()
        prepared = self.prepare_all(preparer, uris, isolated=isolated)
        errors = tuple(image.error for image in prepared)
        if None in work.lacking.values():
            self._refuse_too_many(work, errors)
        good = [image for image in prepared if image.error is None]
        stacks = tuple(
            _stack([image.inputs[i] for image in good], how) for i, how in enumerate(hows)
        )
        image_ids = images.column("image_id").combine_chunks()
        shard = PreparedShard(rows, errors, stacks, image_ids)
        for extractor in lacking:
            if not extractor.is_network:
                values = zip(*(image.values[extractor.name] for image in good), strict=True)
                names = extractor.columns.names
                columns: dict[str, Any] = dict(zip(names, values, strict=False))
                self._commit(work, extractor, shard, {n: columns.get(n, ()) for n in names})
        return shard

    def _refuse_too_many(self, work: ShardWork, errors: Sequence[str | None]) -> None:
        """Stop before a shard is committed of which too much failed; shards are random samples."""
        kinds = Counter(kind for kind in errors if kind is not None)
        if kinds.total() > max(FEW_ERRORS, self.max_error_share * len(errors)):
            found = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
            raise TooManyErrors(
                f"shard {work.key}: {kinds.total()} of {len(errors)} images failed ({found}), more "
                f"than engine.max_error_share {self.max_error_share:g} allows; none of it was kept"
            )

    def _rows(self, work: ShardWork, lacking: list[Extractor], num_rows: int) -> np.ndarray:
        """Name the rows to compute: all of a new shard, or those that failed in some feature."""
        failed = np.zeros(num_rows, bool)
        for extractor in lacking:
            generation = work.lacking[extractor.name]
            if generation is None:
                return np.arange(num_rows)
            old = extractor.table(self.workspace).read(shard_name(work.key, generation), ["error"])
            failed |= _failed(old, work.retry)
        return np.flatnonzero(failed)

    def prepare_all(
        self, preparer: ImagePreparer, uris: list[str], *, isolated: bool
    ) -> list[PreparedImage]:
        """Fetch and prepare images, fetching ahead; isolated where one may kill the process."""
        with ThreadPoolExecutor(self.fetch_threads) as pool:
            fetched = _ahead(pool, self._fetch_one, uris, self.fetch_threads * FETCHED_AHEAD)
            if isolated:
                return isolation.each(preparer, list(fetched), PreparedImage("crashed"))
            return [preparer(data) for data in fetched]

    def _fetch_one(self, uri: str) -> bytes | str:
        try:
            return self._fetch(uri)
        except Unfetchable as error:
            return error.kind

    def finish(self, work: ShardWork, prepared: PreparedShard) -> Receipt:
        """Run the networks over a prepared shard and commit what they saw."""
        lacking = self._lacking(work)
        hows = input_kinds(lacking)
        for extractor in lacking:
            if extractor.is_network:
                assert extractor.card is not None
                stack = prepared.stacks[hows.index(input_kind(extractor.card.preprocess))]
                size = extractor.settings.batch_size or self.batch_size
                columns = self._run(extractor, stack, size)
                self._commit(work, extractor, prepared, columns)
        errors = Counter(kind for kind in prepared.errors if kind is not None)
        return Receipt(work.key, len(prepared.rows), dict(errors))

    def _run(self, extractor: Extractor, stack: np.ndarray, size: int) -> dict[str, Any]:
        if not len(stack):
            return dict.fromkeys(extractor.columns.names, ())
        model = self._model(extractor)
        outputs = [model(batch) for batch in batches(stack, size)]
        return {
            name: np.concatenate([output[name] for output in outputs])
            for name in extractor.columns.names
        }

    def _commit(
        self, work: ShardWork, extractor: Extractor, shard: PreparedShard, columns: dict[str, Any]
    ) -> None:
        table = extractor.table(self.workspace)
        num_rows = len(shard.image_ids)
        good = shard.rows[[error is None for error in shard.errors]]
        error_column = to_column(shard.errors, shard.rows, num_rows, schema.ERROR)
        arrays = [
            to_column(columns[field.name], good, num_rows, field) for field in extractor.columns
        ]
        new = pa.Table.from_arrays(
            [shard.image_ids, *arrays, error_column],
            schema=schema.feature_table(extractor.columns),
        )
        generation = work.lacking[extractor.name]
        if generation is None:
            table.commit(shard_name(work.key), self._row_groups(extractor, new))
            return
        old = table.read(shard_name(work.key, generation))
        merged = _replace(old, new, np.flatnonzero(_failed(old, work.retry)))
        if not merged.equals(old):
            name = shard_name(work.key, generation + 1)
            table.commit(name, self._row_groups(extractor, merged))
            table.supersede([name])

    @staticmethod
    def _row_groups(extractor: Extractor, table: pa.Table) -> list[pa.Table]:
        return in_pieces(table) if extractor.columns.equals(schema.THUMBNAIL) else [table]


def input_kind(how: Preprocess) -> Preprocess:
    """Reduce a preprocessing to what the CPU half does, so that networks share their inputs."""
    plain = Preprocess()
    return how.model_copy(update={"mean": plain.mean, "std": plain.std})


def input_kinds(extractors: Sequence[Extractor]) -> tuple[Preprocess, ...]:
    """List the different inputs that networks ask for, each once."""
    cards = [e.card for e in extractors if e.is_network and e.card is not None]
    return tuple(dict.fromkeys(input_kind(card.preprocess) for card in cards))


def _failed(table: pa.Table, kinds: frozenset[str]) -> np.ndarray:
    return np.isin(table.column("error").to_numpy().astype(str), list(kinds))


def _stack(images: list[np.ndarray], how: Preprocess) -> np.ndarray:
    return np.stack(images) if images else np.zeros((0, how.crop, how.crop, 3), np.uint8)


def _replace(old: pa.Table, new: pa.Table, rows: np.ndarray) -> pa.Table:
    """Take some rows from a new generation and the others from the old one."""
    chosen = np.arange(old.num_rows)
    chosen[rows] += old.num_rows
    return pa.concat_tables([old, new]).take(pa.array(chosen)).combine_chunks()


def _ahead(
    pool: ThreadPoolExecutor, action: Callable[[str], Any], items: list[str], window: int
) -> Iterator[Any]:
    """Map in order, with at most `window` results waiting; keeps memory bounded."""
    pending = [pool.submit(action, item) for item in items[:window]]
    for index in range(len(items)):
        following = index + window
        if following < len(items):
            pending.append(pool.submit(action, items[following]))
        yield pending[index].result()
        pending[index] = None  # type: ignore[call-overload]


def measure(step: Featurize, extractors: Sequence[Extractor], shard: int) -> dict[str, str]:
    """Choose the precision of each network on this device, on the first images of a shard.

    Raises:
        TooManyErrors: none of them can be decoded.
    """
    network = doors.room("features.network")
    hows = input_kinds(extractors)
    images = Table(step.workspace, "images").read(shard_name(shard), ["uri"])
    uris = images.column("uri").to_pylist()[: network.PROBE_SIZE + FEW_ERRORS]
    preparer = ImagePreparer((), hows, step.max_pixels)
    prepared = step.prepare_all(preparer, uris, isolated=True)
    good = [image.inputs for image in prepared if image.error is None][: network.PROBE_SIZE]
    if not good:
        raise TooManyErrors(f"none of the first {len(uris)} images of shard {shard} can be decoded")
    chosen = {}
    for extractor in extractors:
        assert extractor.card is not None
        index = hows.index(input_kind(extractor.card.preprocess))
        probe = np.stack([inputs[index] for inputs in good])
        size = extractor.settings.batch_size or step.batch_size
        outputs = partial(_outputs, step, extractor)
        chosen[extractor.name] = network.choose_precision(outputs, probe, size)
    return chosen


def _outputs(
    step: Featurize, extractor: Extractor, precision: str
) -> Callable[[np.ndarray], np.ndarray]:
    model: Any = make_model(with_precision(extractor, precision), step.weights_s3)
    run: Callable[[np.ndarray], np.ndarray] = model.outputs
    return run
