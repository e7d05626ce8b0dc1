"""Where a trained network looked, and whether the map that says so is true."""
