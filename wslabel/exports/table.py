"""Labels as one table: CSV or Parquet, with a column for each class."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from wslabel.cells import guarded
from wslabel.exports.exporter import ExportConfig, LabeledImages


def as_table(images: LabeledImages, classes: Sequence[str]) -> pa.Table:
    """Lay images out: id, uri, split, label by name, confidence, and each class's probability."""
    names = np.array([*classes, None], object)  # a label of -1 takes the last
    known_N = ~np.isnan(images.probs_NK[:, 0])
    columns = {
        "image_id": pa.array(images.image_ids, pa.string()),
        "uri": pa.array(images.uris, pa.string()),
        "split": pa.array(images.splits, pa.string()),
        "label": pa.array(names[images.labels], pa.string()),
        "confidence": pa.array(images.probs_NK.max(axis=1), pa.float32(), mask=~known_N),
    }
    for name, probs_N in zip(classes, images.probs_NK.T, strict=True):
        columns[f"p_{name}"] = pa.array(probs_N, pa.float32(), mask=~known_N)
    return pa.table(columns)


class CsvConfig(ExportConfig):
    """One CSV file; an image without a label has empty cells.

    Attributes:
        kind: csv.
        escape_formulas: Whether an apostrophe is put before ids and uris that a spreadsheet would
            take for a formula; the source `table` takes it away again.
    """

    kind: Literal["csv"]
    escape_formulas: bool = True

    @property
    def extension(self) -> str:
        """Ending of the file."""
        return ".csv"

    def write(
        self, groups: Iterator[LabeledImages], classes: Sequence[str], sink: BinaryIO
    ) -> None:
        """Write all images as rows."""
        for number, images in enumerate(groups):
            options = pacsv.WriteOptions(include_header=number == 0)
            table = as_table(images, classes)
            if self.escape_formulas:
                table = guarded(table)
            pacsv.write_csv(table, sink, options)


class ParquetConfig(ExportConfig):
    """One Parquet file; an image without a label has nulls.

    Attributes:
        kind: parquet.
    """

    kind: Literal["parquet"]

    @property
    def extension(self) -> str:
        """Ending of the file."""
        return ".parquet"

    def write(
        self, groups: Iterator[LabeledImages], classes: Sequence[str], sink: BinaryIO
    ) -> None:
        """Write all images as rows, one row group per group."""
        writer: pq.ParquetWriter | None = None
        for images in groups:
            table = as_table(images, classes)
            writer = writer or pq.ParquetWriter(sink, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
