"""What does each section of a report show? One module for each section."""
