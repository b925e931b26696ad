"""How S3 is reached: where it is, a reader (pyarrow), a writer (botocore), and its answers."""

import os
from typing import Any

import botocore
import botocore.config
import botocore.exceptions
import botocore.session
import pyarrow.fs as pafs

from wslabel.config.base import S3
from wslabel.errors import StorageError
from wslabel.storage.failures import answer_of, reason_of

SDK_ATTEMPTS = 2
"""Of each of our tries: the SDK's backoff grows so fast that five would take minutes in all."""
CONNECT_S, READ_S = 10.0, 60.0
"""How long a server may take to accept a connection, and to send the next bytes."""
PASSING = (
    botocore.exceptions.ConnectionError,
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.IncompleteReadError,
)


def endpoint_of(s3: S3) -> str | None:
    """Name the endpoint of the settings or of AWS's own environment variables.

    Raises:
        StorageError: One of these carries credentials, which would stand in messages.
    """
    if s3.endpoint:
        return s3.endpoint
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        endpoint = os.environ.get(name)
        if endpoint and "@" in endpoint:
            raise StorageError(f"{name} must not carry credentials; see AWS_ACCESS_KEY_ID")
        if endpoint:
            return endpoint
    return None


def region_of(s3: S3) -> str | None:
    """Name the region of the settings or of AWS's own environment variables."""
    return s3.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def s3_reader(s3: S3) -> pafs.S3FileSystem:
    """Open S3 for reading and listing; retries of single requests are the SDK's."""
    options: dict[str, Any] = {"anonymous": s3.anonymous, "connect_timeout": CONNECT_S}
    if endpoint := endpoint_of(s3):
        scheme, _, host = endpoint.rpartition("://")
        options |= {"scheme": scheme or "https", "endpoint_override": host}
    if region := region_of(s3) or ("us-east-1" if endpoint else None):
        options["region"] = region
    retry = pafs.AwsStandardS3RetryStrategy(max_attempts=SDK_ATTEMPTS)
    return pafs.S3FileSystem(retry_strategy=retry, **options)


def unanswered(error: Exception, what: str) -> OSError | None:
    """Turn what botocore raises where no server answered into an error of storage.

    None of other errors.

    >>> type(unanswered(botocore.exceptions.NoCredentialsError(), "s3://bucket/a")).__name__
    'StorageError'
    """
    if not isinstance(error, botocore.exceptions.BotoCoreError):
        return None
    if isinstance(error, PASSING):
        return OSError(reason_of(error))
    if isinstance(error, botocore.exceptions.ParamValidationError):  # no such bucket or key can be
        return FileNotFoundError(f"{what}: {reason_of(error)}")
    return StorageError(f"{what}: {reason_of(error)}")  # no credentials, no such region


def s3_writer(s3: S3) -> Any:
    """Open S3 for writing; a client of botocore, which alone can create only what is not there."""
    signature = {"signature_version": botocore.UNSIGNED} if s3.anonymous else {}
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=endpoint_of(s3),
        region_name=region_of(s3) or "us-east-1",
        config=botocore.config.Config(
            retries={"total_max_attempts": SDK_ATTEMPTS, "mode": "standard"},
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            **signature,
        ),
    )


def ask(writer: Any, operation: str, path: str, **more: Any) -> Any:
    """Send a request about an object; None where its condition is not met.

    Args:
        writer: What `s3_writer` gave.
        operation: Name of the request, as botocore has it.
        path: Bucket and key of the object.
        **more: The rest of the request.

    Raises:
        OSError: It was refused, or nobody answered.
    """
    bucket, _, key = path.partition("/")
    try:
        return getattr(writer, operation)(Bucket=bucket, Key=key, **more)
    except botocore.exceptions.ClientError as error:
        # Another answer to a race, 409, means that nobody may have won: worth another try.
        if answer_of(error)[0] in ("PreconditionFailed", "412"):
            return None
        raise OSError(reason_of(error)) from error
    except botocore.exceptions.BotoCoreError as error:
        raise unanswered(error, f"s3://{path}") or error from error
