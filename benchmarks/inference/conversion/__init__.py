"""Programs that write a model in the layout that a library reads. Each runs in the environment of that library."""
