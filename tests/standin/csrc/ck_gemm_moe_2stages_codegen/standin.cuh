// Stand-in for the sources that AITER generates the module from.
