"""The archive: schema, models, repository, and the facade that owns its transactions."""
