"""What a task's URL names, brought here safely: a file on this machine, whole, and an image upright.

A task can name any URL, so its values are a stranger's: local paths only inside folders that were allowed, other hosts
only at public addresses, everything bounded in size and time, and never with a token. What Label Studio keeps itself
comes through it.

sources    where a URL leads, or why nowhere                         inline    what stands in a data: URL
fetching   texts, files, images and videos, brought once             held      those of one request
web        other hosts, by checked addresses                         transfer  how a body is received
cache      files on disk, bounded, safe between processes            content   what a file holds, by its first bytes
entries    what is known of each file                                leases    since when processes use them
eviction   the least recently used go first                          pictures  is it whole, how large, and upright
"""

from __future__ import annotations

from lsml.media.cache import MediaCache, open_cache
from lsml.media.fetching import MAX_TEXT_BYTES, Fetcher
from lsml.media.sources import Sources

__all__ = ["MAX_TEXT_BYTES", "Fetcher", "MediaCache", "Sources", "open_cache"]
