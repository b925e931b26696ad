"""One shard through all extractors that lack it: every image is fetched and decoded once."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from wslabel import schema
from wslabel.columns import batches, to_column
from wslabel.config.base import S3
from wslabel.config.preprocess import Preprocess
from wslabel.engine.prefetch import prefetch
from wslabel.engine.room import Room
from wslabel.engine.step import ItemResult
from wslabel.errors import FeatureError, TooManyErrors, TransientStorageError, WorkLeft
from wslabel.features.decoder import Decoder
from wslabel.features.feature import FeatureModel, ImageFeatureConfig, NetworkFeatureConfig
from wslabel.sources.allowed import Allowed
from wslabel.sources.fetch import Fetcher
from wslabel.sources.shard_fetcher import UNREACHABLE, ShardFetcher
from wslabel.stages.featurize import isolation
from wslabel.stages.featurize.prepare import ImagePreparer, PreparedImage, blaming, said
from wslabel.storage.location import Location
from wslabel.storage.table import Table, in_pieces, shard_name
from wslabel.workspace import attempts
from wslabel.workspace.extractors import Extractor, input_kind, input_kinds
from wslabel.workspace.workspace import ShardItem

FETCHED_AHEAD = 4
"""Images fetched ahead of the decoder, times the number of fetching threads."""

FEW_ERRORS = 3
"""So many failed images never stop a job, however small its shards are."""

PixelFeatures = tuple[tuple[str, ImageFeatureConfig], ...]
"""Features that need no network, by name."""

Values = Mapping[str, Sequence[object] | np.ndarray]
"""What an extractor computed: one entry per image without an error, by column."""


@dataclass(frozen=True, kw_only=True)
class PreparedShard:
    """The CPU half of a shard.

    Attributes:
        rows: Rows to compute, in order.
        errors: Error kind of each of these rows; None where there is none.
        stacks: Inputs of the networks, one stack per kind of input, of the rows without an error.
        image_ids: Ids of all images of the shard.
        weakness: Why its images were decoded without a sandbox; empty where they were not.
    """

    rows: np.ndarray
    errors: tuple[str | None, ...]
    stacks: tuple[np.ndarray, ...]
    image_ids: pa.Array
    weakness: str = ""


@dataclass(frozen=True, kw_only=True)
class FeaturizeStep:
    """The split step: prepare fetches, decodes and commits values; finish runs the networks.

    Attributes:
        location: Root of the workspace.
        images_s3: How to reach the images.
        allowed: Where images may be fetched from.
        weights_s3: How to reach weights.
        extractors: All features of the project.
        fetch_threads: Images fetched at a time.
        max_image_bytes: Bytes of the largest image that is fetched.
        max_fetched_bytes: Bytes of fetched images that may be alive, one image's more at most.
        decoder: Turns the bytes of an image into pixels.
        batch_size: Images per mini-batch, where a feature does not say.
        max_error_share: Share of a shard's images that may fail before the job stops.
        max_attempts: Runs that may leave a shard undone because an image cannot be reached.
        run: Name of this run, under which attempts are counted.
    """

    location: Location
    images_s3: S3
    allowed: Allowed
    weights_s3: S3
    extractors: tuple[Extractor, ...]
    fetch_threads: int
    max_image_bytes: int
    max_fetched_bytes: int
    decoder: Decoder
    batch_size: int
    max_error_share: float
    max_attempts: int
    run: str

    @cached_property
    def _fetch(self) -> Fetcher:
        return Fetcher(self.images_s3, self.allowed, self.max_image_bytes)

    @cached_property
    def _models(self) -> dict[str, FeatureModel]:
        return {}

    def _model(self, extractor: Extractor) -> FeatureModel:
        if extractor.name not in self._models:
            self._models[extractor.name] = extractor.load(self.weights_s3)
        return self._models[extractor.name]

    def _missing(self, item: ShardItem) -> list[Extractor]:
        return [e for e in self.extractors if e.name in item.missing]

    def prepare(self, item: ShardItem, *, isolated: bool) -> PreparedShard:
        """Fetch and decode the images of a shard; commit the features that need no network."""
        missing = self._missing(item)
        columns = ["image_id", "uri", schema.NUM_BYTES.name]
        images = Table(self.location, "images").read(shard_name(item.key), columns)
        rows = self._rows(item, missing, images.num_rows)
        is_new = None in item.missing.values()
        inputs = input_kinds(missing)
        asked = images.take(pa.array(rows))
        preparer = self.preparer(_pixel_features(missing), inputs)
        ids, uris = (asked.column(name).to_pylist() for name in ("image_id", "uri"))
        # Who tries an image again may have mended it.
        fetch = ShardFetcher(self._fetch, _sizes(asked) if is_new else {})
        prepared = self.prepare_all(preparer, uris, isolated=isolated, fetch=fetch)
        _refuse_failures(prepared, ids)
        if any(image.error == UNREACHABLE for image in prepared):
            self._leave_unreached(item, ids, prepared, fetch)
        good = [image for image in prepared if image.error is None]
        shard = PreparedShard(
            rows=rows,
            errors=tuple(image.error for image in prepared),
            stacks=tuple(_stack([g.inputs[i] for g in good], how) for i, how in enumerate(inputs)),
            image_ids=images.column("image_id").combine_chunks(),
            weakness=self.decoder.weakness,
        )
        if is_new:
            self._refuse_too_many(item, shard.errors, fetch.refusal)
        for extractor in missing:
            if not extractor.is_network:
                self._commit(item, extractor, shard, _values(extractor, good))
        return shard

    def _refuse_too_many(self, item: ShardItem, errors: Sequence[str | None], refusal: str) -> None:
        """Stop before a shard is committed of which too much failed; shards are random samples."""
        kinds = Counter(kind for kind in errors if kind is not None)
        if kinds.total() > max(FEW_ERRORS, self.max_error_share * len(errors)):
            counts = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
            such_as = f"; such as {refusal}" if refusal else ""
            raise TooManyErrors(
                f"shard {item.key}: {kinds.total()} of {len(errors)} images failed ({counts}), more"
                f" than engine.max_error_share {self.max_error_share:g} allows; none of it was kept"
                f"{such_as}"
            )

    def _rows(self, item: ShardItem, missing: list[Extractor], num_rows: int) -> np.ndarray:
        """Name the rows to compute: all of a new shard, or those that failed in some feature."""
        failed = np.zeros(num_rows, bool)
        for extractor in missing:
            generation = item.missing[extractor.name]
            if generation is None:
                return np.arange(num_rows)
            name = shard_name(item.key, generation)
            failed |= _failed(extractor.table(self.location).read(name, ["error"]), item.retry)
        return np.flatnonzero(failed)

    def _leave_unreached(
        self, item: ShardItem, ids: list[str], prepared: list[PreparedImage], fetch: ShardFetcher
    ) -> None:
        """Count the runs that did not reach an image, and leave the shard to the next ones.

        Raises:
            WorkLeft: Some image may still be reached by another run.
            TransientStorageError: So may too many of them: their source does not answer.
            TooManyErrors: Too many of the others failed.
        """
        failed = [image.error for image in prepared]
        mine = [name for name, error in zip(ids, failed, strict=True) if error == UNREACHABLE]
        attempts.note(self.location, item.key, self.run, mine)
        counts = attempts.count(self.location, item.key)
        fewest = min(counts[name] for name in mine)
        if fewest >= self.max_attempts:
            return
        if None in item.missing.values():
            others = [error for error in failed if error != UNREACHABLE]
            self._refuse_too_many(item, others, fetch.refusal)
        told = f"shard {item.key}: {len(mine)} of {len(ids)} images not reached, "
        told += f"run {fewest} of {self.max_attempts} that tries ({fetch.reason})"
        if len(mine) > max(FEW_ERRORS, self.max_error_share * len(ids)):
            raise TransientStorageError(told)
        raise WorkLeft(told)

    def preparer(
        self, pixel_features: PixelFeatures, inputs: tuple[Preprocess, ...]
    ) -> ImagePreparer:
        """Say what is made of each image."""
        return ImagePreparer(pixel_features, inputs, self.decoder)

    def prepare_all(
        self,
        preparer: ImagePreparer,
        uris: list[str],
        *,
        isolated: bool,
        fetch: ShardFetcher | None = None,
    ) -> list[PreparedImage]:
        """Fetch and prepare images; those that were not reached once more after all others.

        Args:
            preparer: What is done to the bytes.
            uris: Where the images are.
            isolated: Whether one of them may kill the process.
            fetch: What fetches them, and tells why some were not reached.
        """
        fetch = fetch or ShardFetcher(self._fetch)
        prepared = self._prepare_once(preparer, uris, fetch, isolated=isolated)
        again = [row for row, image in enumerate(prepared) if image.error == UNREACHABLE]
        if again:
            fetch.try_again()
            late = self._prepare_once(preparer, [uris[r] for r in again], fetch, isolated=isolated)
            for row, image in zip(again, late, strict=True):
                prepared[row] = image
        return prepared

    def _prepare_once(
        self, preparer: ImagePreparer, uris: list[str], fetch: ShardFetcher, *, isolated: bool
    ) -> list[PreparedImage]:
        """Fetch and prepare images, fetching ahead."""
        fetched = self._fetched(fetch, uris)
        if isolated:
            return isolation.each(
                preparer,
                fetched,
                on_crash=PreparedImage("crashed"),
                on_timeout=PreparedImage("timed_out"),
            )
        return list(preparer.all(fetched))

    def _fetched(self, fetch: ShardFetcher, uris: list[str]) -> Iterator[bytes | str]:
        """Fetch images in their order, the next ones ahead while there is room for their bytes."""
        room = Room(self.max_fetched_bytes)
        fetched = prefetch(
            lambda rank: fetch(uris[rank], room.at(rank)),
            range(len(uris)),
            threads=self.fetch_threads,
            ahead=self.fetch_threads * FETCHED_AHEAD,
            on_end=room.close,
        )
        for rank in range(len(uris)):
            yield next(fetched)  # without a name, by which it would stay alive
            room.empty(rank)
            room.taken(rank)

    def finish(self, item: ShardItem, prepared: PreparedShard) -> ItemResult:
        """Run the networks over a prepared shard and commit what they saw."""
        missing = self._missing(item)
        inputs = input_kinds(missing)
        for extractor in missing:
            if extractor.is_network:
                assert extractor.info is not None
                stack = prepared.stacks[inputs.index(input_kind(extractor.info.preprocess))]
                self._commit(item, extractor, prepared, self._outputs(extractor, stack))
        errors = Counter(kind for kind in prepared.errors if kind is not None)
        if None in item.missing.values() and UNREACHABLE not in errors:
            attempts.forget(self.location, item.key)
        note = f"images are decoded without a sandbox: {prepared.weakness}"
        return ItemResult(
            item=item.key,
            num_images=len(prepared.rows),
            errors=dict(errors),
            note=note if prepared.weakness else "",
        )

    def _outputs(self, extractor: Extractor, stack: np.ndarray) -> Values:
        if not len(stack):
            return dict.fromkeys(extractor.columns.names, ())
        with blaming(extractor.name):
            model, size = self._model(extractor), mini_batch(extractor, self.batch_size)
            outputs = [model(batch) for batch in batches(stack, size)]
            return {
                name: np.concatenate([output[name] for output in outputs])
                for name in extractor.columns.names
            }

    def _commit(
        self, item: ShardItem, extractor: Extractor, shard: PreparedShard, values: Values
    ) -> None:
        table = extractor.table(self.location)
        try:
            new = _table(extractor, shard, values)
        except (pa.ArrowException, TypeError, ValueError, LookupError) as error:
            text = f"feature {extractor.name}: what it gives does not fit its columns"
            raise FeatureError(f"{text}: {said(error)}") from error
        generation = item.missing[extractor.name]
        if generation is None:
            table.commit(shard_name(item.key), _row_groups(extractor, new))
            return
        old = table.read(shard_name(item.key, generation))
        merged = _replace(old, new, np.flatnonzero(_failed(old, item.retry)))
        if not merged.equals(old):
            name = shard_name(item.key, generation + 1)
            table.commit(name, _row_groups(extractor, merged))
            table.retire(name)


def _sizes(images: pa.Table) -> dict[str, int]:
    """Give the size of each image's file when it was ingested, where the source knew."""
    if schema.NUM_BYTES.name not in images.column_names:  # of a manifest made before it was kept
        return {}
    uris, sizes = (images.column(n).to_pylist() for n in ("uri", schema.NUM_BYTES.name))
    return {uri: size for uri, size in zip(uris, sizes, strict=True) if size is not None}


def mini_batch(extractor: Extractor, default: int) -> int:
    """Give the number of images per mini-batch of a network."""
    assert isinstance(extractor.settings, NetworkFeatureConfig)
    return extractor.settings.batch_size or default


def _refuse_failures(prepared: Sequence[PreparedImage], image_ids: Sequence[str]) -> None:
    for image, image_id in zip(prepared, image_ids, strict=True):
        if image.failure is not None:
            raise FeatureError(f"image '{image_id}': {image.failure}")


def _pixel_features(missing: Sequence[Extractor]) -> PixelFeatures:
    return tuple(
        (e.name, e.settings) for e in missing if isinstance(e.settings, ImageFeatureConfig)
    )


def _values(extractor: Extractor, good: Sequence[PreparedImage]) -> Values:
    """Turn the values of a feature, image by image, into columns."""
    names = extractor.columns.names
    rows = [image.values[extractor.name] for image in good]
    for row in rows:
        if len(row) != len(names):
            text = f"computed {len(row)} values of an image for its columns {', '.join(names)}"
            raise FeatureError(f"feature {extractor.name} {text}")
    columns = zip(*rows, strict=True)
    return dict.fromkeys(names, ()) | dict(zip(names, columns, strict=False))


def _table(extractor: Extractor, shard: PreparedShard, values: Values) -> pa.Table:
    """Frame the values of the rows that were computed; all other rows are null."""
    num_rows = len(shard.image_ids)
    good = shard.rows[[error is None for error in shard.errors]]
    arrays = [to_column(values[field.name], good, num_rows, field) for field in extractor.columns]
    errors = to_column(shard.errors, shard.rows, num_rows, schema.ERROR)
    return pa.Table.from_arrays(
        [shard.image_ids, *arrays, errors], schema=schema.feature_table(extractor.columns)
    )


def _row_groups(extractor: Extractor, table: pa.Table) -> list[pa.Table]:
    """Cut a table with pictures into pieces, of which training reads one at a time."""
    return in_pieces(table) if extractor.settings.picture_column else [table]


def _failed(table: pa.Table, kinds: Collection[str]) -> np.ndarray:
    return np.isin(table.column("error").to_numpy().astype(str), list(kinds))


def _stack(images: list[np.ndarray], preprocess: Preprocess) -> np.ndarray:
    side = preprocess.crop
    return np.stack(images) if images else np.zeros((0, side, side, 3), np.uint8)


def _replace(old: pa.Table, new: pa.Table, rows: np.ndarray) -> pa.Table:
    """Take some rows from a new generation and the others from the old one."""
    chosen = np.arange(old.num_rows)
    chosen[rows] += old.num_rows
    return pa.concat_tables([old, new]).take(pa.array(chosen)).combine_chunks()
