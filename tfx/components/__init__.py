"""Which boxes do our pipelines have beside TFX's own? One component a file. Importing one of them imports TFX."""
