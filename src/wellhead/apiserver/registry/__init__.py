"""What reads and writes of objects mean, apart from HTTP: admission, defaults, validation, allocation,
graceful deletion, finalizers, and optimistic concurrency on top of the watch cache."""
