"""The sections of the page: plain data, tables and charts of each."""
