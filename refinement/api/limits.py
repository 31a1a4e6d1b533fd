"""How many requests a token may make in a minute, counted for all web processes together."""

import logging
import time

from django.conf import settings
from django.core.cache import caches
from redis.exceptions import RedisError

from refinement.api.problems import Refused

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60


def count_request(token_id: int) -> tuple[int, int]:
    """Count one more; what is left of this minute, and its seconds. Raises Refused (429).

    Where the counter cannot be reached nobody is counted: a limit protects, it must not break.
    """
    limit = settings.API_REQUESTS_PER_MINUTE
    now = time.time()
    window, seconds = int(now // WINDOW_SECONDS), WINDOW_SECONDS - int(now % WINDOW_SECONDS)
    key = f"api:{token_id}:{window}"
    try:
        cache = caches["limits"]
        cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
        used = cache.incr(key)
    except (RedisError, OSError, ValueError) as error:
        logger.warning("the counter of requests cannot be reached: %s", error)
        return limit, seconds
    if used > limit:
        raise Refused(
            429,
            f"A token may ask {limit} times a minute. Wait {seconds} seconds.",
            Retry_After=str(seconds),
        )
    return limit - used, seconds
