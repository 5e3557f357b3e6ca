-- What waits to be sorted into the index of cells would be searched by every question.
SELECT sort_in_cells()
