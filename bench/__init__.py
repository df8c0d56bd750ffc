"""How fast is it? Every figure is measured end to end on real servers, and printed with the machine's facts."""
