"""The compiled CPU backend of the plane operators: C++ sources, their build, their loading."""
