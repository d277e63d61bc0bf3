"""The pipeline: recipes, plans, the cache and the runner; the only place where rooms meet."""
