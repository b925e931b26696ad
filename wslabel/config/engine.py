"""How the work is spread over a cluster."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from wslabel.config.base import Fraction, Settings, refuse

Sandbox = Literal["auto", "required", "off"]
"""Whether the process that decodes images of strangers is locked down."""

MAX_IMAGE_BYTES = 2**27


class Engine(Settings):
    """How the work is spread; what is null follows from what the cluster has.

    Attributes:
        actors: Actors that run the networks; null for as many as the cluster holds.
        cpus_per_actor: CPUs that each actor reserves, all of one machine; where others decode for
            actors with a GPU, so many CPUs are left free for each of these.
        gpus_per_actor: GPUs that each actor reserves: a share of one, or a whole number.
        batch_size: Images per mini-batch of a network.
        fetch_threads: Images that each process fetches at a time.
        max_pixels: Pixels of the largest image that is decoded; larger ones fail as too_large.
        max_image_bytes: Bytes of the largest image that is fetched; larger ones fail as too_large.
        max_fetched_bytes: Bytes of images that each process may hold while it fetches ahead of
            decoding; one image may exceed them.
        max_attempts: Runs that may leave a shard undone because one of its images cannot be reached
            (its host is gone, its server throttles); after so many the image fails as unreachable.
            1 waits for no other run, as suits addresses gathered from the web.
        decode_timeout_s: Seconds that decoding an image and computing its features may take, the
            networks left out; what takes longer is ended and fails as timed_out.
        sandbox: Whether the process that decodes images may do nothing else: auto, as far as the
            system can, saying so where it cannot; required, else the run stops; off, never.
        max_error_share: Share of a shard's images that may fail before the job stops.
        driver_groups: Groups of 64 shards up to which light work (votes, labels, evaluation,
            predictions of a linear head) is done in the driver, which spares a laptop the start
            of Ray.
    """

    actors: int | None = Field(None, ge=1)
    cpus_per_actor: float | None = Field(None, gt=0.0)
    gpus_per_actor: float | None = Field(None, ge=0.0)
    batch_size: int = Field(32, ge=1, le=4096)
    fetch_threads: int = Field(16, ge=1, le=256)
    max_pixels: int = Field(178_956_970, ge=1)
    max_image_bytes: int = Field(MAX_IMAGE_BYTES, ge=1)
    max_fetched_bytes: int = Field(2**28, ge=1)
    max_attempts: int = Field(3, ge=1)
    decode_timeout_s: float = Field(60.0, ge=0.1, le=86_400.0)
    sandbox: Sandbox = "auto"
    max_error_share: Fraction = 0.2
    driver_groups: int = Field(2, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _no_address(cls, data: object) -> object:
        """Refuse a cluster's address: whoever shares a file would get the code and credentials."""
        if isinstance(data, dict) and "address" in data:
            raise refuse(
                "address: a project file names no cluster, which is given code and credentials; "
                "set RAY_ADDRESS or call with --address, and remove the key"
            )
        return data

    @field_validator("gpus_per_actor")
    @classmethod
    def _share_or_whole(cls, value: float | None) -> float | None:
        if value is not None and value > 1.0 and not value.is_integer():
            raise refuse(f"expected a share of one GPU or a whole number of them, found {value:g}")
        return value
