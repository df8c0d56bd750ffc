"""What the measurements that stand alone give: a line of a table of two columns."""

Row = tuple[str, str]
