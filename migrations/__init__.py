"""The schema's revisions, run by ``phonobase db upgrade`` and ``phonobase.store.schema.upgrade``."""
