"""From plain data to charts, and from charts to SVG, PNG and PDF."""
