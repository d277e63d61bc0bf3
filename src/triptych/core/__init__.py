"""The ground floor: errors, slots, protocols, registries, randomness, progress, settings, executors."""
