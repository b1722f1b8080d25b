"""The kinds of problems that nano learns, one module a family; each makes scenes."""
