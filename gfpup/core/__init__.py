"""The ground floor: errors, the facts that travel, the registry, files, versions. It imports nothing of gfpup."""
