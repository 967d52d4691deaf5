"""A folder or table as people have it, read into a `Source`: files, tables, labels, groups, splits."""
