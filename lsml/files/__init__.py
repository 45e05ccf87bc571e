"""Files on this machine: digests, durable writes, strict JSON, and the cache folder."""
