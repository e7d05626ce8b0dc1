"""The theory as pure functions: plane operators, the rules, one autograd function."""
