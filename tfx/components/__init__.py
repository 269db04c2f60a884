"""The components of the pipelines in addition to TFX's, one per file. Importing one imports TFX."""
