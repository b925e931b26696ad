"""The kinds of acquisition functions."""

from wslabel.active.acquisition import AcquisitionConfig
from wslabel.active.uncertainty import EntropyConfig, LeastConfidenceConfig, MarginConfig
from wslabel.config.registry import Registry

ACQUISITIONS: Registry[AcquisitionConfig] = Registry(
    "kind", MarginConfig, LeastConfidenceConfig, EntropyConfig
)
