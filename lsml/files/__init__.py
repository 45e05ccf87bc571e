"""Files on this machine: digests, what survives a power cut, strict JSON, and the folder of what can be made again."""
