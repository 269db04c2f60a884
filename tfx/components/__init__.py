"""Which components do our pipelines have in addition to TFX's own? One per file. Importing one imports TFX."""
