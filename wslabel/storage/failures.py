"""Failures of storage: which of them another try may mend, and which stop a job at once.

A failure is of one of three kinds. *Transient*: throttling, resets, time-outs, a server that is
down; worth another try. *Of one file*: there is no such thing, no such name, or no right to it;
whoever asked decides what that means. *Of the place*: a full disk, expired credentials; whatever is
computed after it is computed in vain, so the job stops and says what is to be done.
"""

import errno
import itertools
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from wslabel.errors import StorageError, TransientStorageError
from wslabel.screen import LOG
from wslabel.uri import hushed

PATIENCE_S = 60.0
"""How long something is tried again while storage fails transiently."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 10.0
"""Bounds of the growing waits between tries; each is drawn from zero on, so that workers part."""

TOLD_AFTER_S = 3.0
"""Waiting after which the log says what is waited for."""

_FULL = "the disk is full; make room and run again"
_RENEW = "the credentials have expired; renew them and run again"
_KEYS = "the credentials are not valid; see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and profiles"
_ACCOUNT = "the account or bucket is closed; ask its owner"
_REGION = "the bucket is in another region; name it as s3.region"
_UNABLE = "the store cannot do what wslabel needs (PutObject with If-None-Match); take another one"

ERRNO_STOPS: Mapping[int | None, str] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the quota of the disk is used up; make room and run again",
    errno.EROFS: "the file system is read-only; mount it for writing or name another place",
    errno.EXDEV: "the folder is a mount of its own; a workspace lies on one file system",
}
"""What is to be done where the system says that nothing can be written."""

ANSWER_STOPS: Mapping[str, str] = {
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired"), _RENEW),
    "TokenRefreshRequired": _RENEW,
    **dict.fromkeys(("InvalidToken", "InvalidAccessKeyId"), _KEYS),
    **dict.fromkeys(("InvalidSecurity", "CredentialsNotSupported", "NotSignedUp"), _KEYS),
    **dict.fromkeys(("InvalidClientTokenId", "UnrecognizedClient"), _KEYS),
    "AccountProblem": _ACCOUNT,
    **dict.fromkeys(("AuthorizationHeaderMalformed", "PermanentRedirect", "301"), _REGION),
    **dict.fromkeys(("QuotaExceeded", "XMinioStorageFull", "507"), "the store is full; make room"),
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
    # S3 answers a HEAD, with which pyarrow begins, without saying what was wrong.
    "Unknown400": "the store refuses the request; have the credentials expired?",
}
"""What is to be done where S3 says that it serves nobody with these settings, by its code."""

REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(("AccessDenied", "403"), "there is no right to write; grant s3:PutObject"),
    **dict.fromkeys(("NoSuchBucket", "404"), "there is no such bucket; create it first"),
    **dict.fromkeys(("NotImplemented", "501", "MethodNotAllowed", "405"), _UNABLE),
    "AllAccessDisabled": _ACCOUNT,
    "SignatureDoesNotMatch": _KEYS,  # of one odd key it may be the name that is misread
    "InvalidBucketName": "this cannot be the name of a bucket; correct `workspace`",
    "EntityTooLarge": "the store takes no object of this size; take a smaller images.shard_size",
}
"""What is to be done where S3 refuses a writer alone, by its code."""

PASSING_CODES = frozenset(
    {
        "BadDigest",
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "XAmzContentSHA256Mismatch",
    }
)
"""S3's codes of transient failures whose HTTP status says that the request was wrong."""

PASSING_STATUSES = frozenset({408, 409, 412, 425, 429})
"""HTTP statuses below 500 after which another try may go well."""

_OF_ONE_FILE = (
    FileExistsError,
    FileNotFoundError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)
_ARROW = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))? during")
_ARROW_UNKNOWN = re.compile(r"ExceptionName: (\w+)")
T = TypeVar("T")


def answer_of(error: BaseException) -> tuple[str, int]:
    """Give the code and HTTP status of S3's answer, as far as known: "" and 0 where none is.

    botocore keeps the answer, s3fs has it as the cause of its own error, pyarrow writes it.

    >>> answer_of(OSError("AWS Error SLOW_DOWN (HTTP status 503) during PutObject operation: no"))
    ('SlowDown', 503)
    """
    for source in (error, error.__cause__):
        response = getattr(source, "response", None)
        if isinstance(response, Mapping) and "Error" in response:
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(response["Error"].get("Code", "")), int(status)
    found = _ARROW.search(str(error))
    if found is None:
        return "", 0
    unknown, status = _ARROW_UNKNOWN.search(str(error)), int(found[2] or 0)
    if unknown is not None:
        return unknown[1], status
    if found[1] == "UNKNOWN":
        return f"Unknown{status or ''}", status
    return found[1].title().replace("_", ""), status


def stops(error: OSError) -> str | None:
    """Say what is to be done before anything here can go well; None of other failures."""
    return ERRNO_STOPS.get(error.errno) or ANSWER_STOPS.get(answer_of(error)[0])


def is_permanent(error: OSError) -> bool:
    """Tell whether trying again cannot help: no such thing, no such name, no right, no room."""
    if isinstance(error, _OF_ONE_FILE) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return True
    if stops(error) is not None:
        return True
    code, status = answer_of(error)
    is_refused = code in REFUSALS or 300 <= status < 500 or status == 501
    return is_refused and code not in PASSING_CODES and status not in PASSING_STATUSES


def reason_of(error: BaseException) -> str:
    """Give what an error says on one line of bearable length, without passwords in its uris."""
    return hushed(" ".join(str(error).split()))[:300] or type(error).__name__


def retrying(
    action: Callable[[], T], what: str, *, patience_s: Callable[[OSError], float] | None = None
) -> T:
    """Do something again, after growing random waits, while storage fails transiently.

    Args:
        action: What is done.
        what: What it is done to, for messages.
        patience_s: How long it is tried in all, given how the last try failed; None for
            `PATIENCE_S`.

    Raises:
        TransientStorageError: Storage failed transiently all the time.
        StorageError: The place cannot be used; it says what is to be done.
        OSError: What `is_permanent` says cannot be helped.
    """
    start, is_told = time.monotonic(), False
    for tries in itertools.count(1):
        try:
            return action()
        except OSError as error:
            _raise_permanent(error, what)
            last = error
        patience = PATIENCE_S if patience_s is None else patience_s(last)
        wait, spent = _wait(tries, last), time.monotonic() - start
        if spent + wait > patience:
            break
        if spent + wait > TOLD_AFTER_S and not is_told:
            is_told, left = True, patience - spent
            LOG.warning("%s: %s; trying again for %.0f s", what, reason_of(last), left)
        time.sleep(wait)
    times = "once" if tries == 1 else f"{tries} times in {time.monotonic() - start:.0f} s"
    raise TransientStorageError(f"{what}: storage failed {times}: {reason_of(last)}") from last


def _raise_permanent(error: OSError, what: str) -> None:
    if isinstance(error, StorageError):
        raise error
    advice = stops(error)
    if advice is not None:
        raise StorageError(f"{what}: {advice} ({reason_of(error)})") from error
    if is_permanent(error):
        raise error


def _wait(tries: int, error: OSError) -> float:
    """Draw the wait before the next try, no shorter than the answer asks for (Retry-After)."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries - 1, 20))
    asked: Any = getattr(error, "retry_after_s", 0.0)
    return max(random.uniform(0.0, longest), float(asked))
