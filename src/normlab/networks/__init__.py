"""The networks that are trained, and what the rest of the package may know of one."""
