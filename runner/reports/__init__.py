"""How a plan or a run is shown: pure functions from values to text."""
