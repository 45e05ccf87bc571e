"""The media of tasks, fetched safely: from a URL to a complete file on this machine, images upright.

A task can name any URL, so none is trusted: local paths only inside folders that were allowed, other hosts
only at public addresses, everything bounded in size and time, and never with a token. What Label Studio keeps itself
comes through it.

sources    where a URL leads, or why it is refused                   inline    content of a data: URL
fetching   texts, files, images and videos, fetched once             held      the files of one request
web        other hosts, by checked addresses                         transfer  how a body is received
cache      files on disk, bounded, safe between processes            content   a file's kind, by its first bytes
entries    the record of each file                                   leases    since when processes use files
eviction   the least recently used go first                          pictures  size, and an upright copy
"""

from __future__ import annotations

from lsml.media.cache import MediaCache, open_cache
from lsml.media.fetching import MAX_TEXT_BYTES, Fetcher
from lsml.media.pictures import thumbnail
from lsml.media.sources import Sources

__all__ = ["MAX_TEXT_BYTES", "Fetcher", "MediaCache", "Sources", "open_cache", "thumbnail"]
