"""One module a format; each finds the tables of a text and undoes their merged cells."""
