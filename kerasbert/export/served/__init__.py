"""What does each kind of model answer when it is served? One module per task, with the functions of its signatures."""
