"""The theory as pure functions: plane operators, the rules of every scheme, one autograd function."""
