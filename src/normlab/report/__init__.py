"""From an analysis to something to read: tables, figures, one self-contained page. No torch."""
