"""Methods against data sets: protocols as data, the grid of cells, tables beside published figures."""
