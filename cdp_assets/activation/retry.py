"""When to try again: exponential back-off with jitter, and what Retry-After says."""

import datetime as dt
import random
from email.utils import parsedate_to_datetime

from cdp_assets.activation.destination_spec import Retry

# Nobody may put us off for longer than a day.
LONGEST_SECONDS = 86_400.0


def backoff(policy: Retry, failures: int, rng: random.Random) -> float:
    """Seconds until a change is tried again after so many failures, at least one.

    Full jitter: all of the delay is drawn, so that changes that failed together come
    back spread out.
    """
    return _doubled(policy, failures) * rng.random()


def pause(policy: Retry, openings: int, rng: random.Random) -> float:
    """Seconds to leave a destination alone after so many refusals, at least one.

    Half is fixed: there is one such wait per destination, and it must not be nothing.
    """
    return _doubled(policy, openings) * (0.5 + rng.random() / 2)


def _doubled(policy: Retry, times: int) -> float:
    # 2**60 s is longer than any cap; without the bound a float would overflow.
    return min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(times - 1, 60))


def retry_after(value: str | None, now: dt.datetime) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date.

    Returns:
        Seconds from ``now`` (naive UTC), between zero and a day; None without a header
        or with one that cannot be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is not None:
        until = until.astimezone(dt.UTC).replace(tzinfo=None)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_SECONDS)
