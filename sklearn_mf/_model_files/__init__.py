"""Write fitted models as files of plain arrays, and read them with every value checked."""
