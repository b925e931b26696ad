"""The kinds of exports of labels."""

from wslabel.config.registry import Registry
from wslabel.exports.exporter import ExportConfig
from wslabel.exports.table import CsvConfig, ParquetConfig

EXPORTS: Registry[ExportConfig] = Registry("kind", CsvConfig, ParquetConfig)
