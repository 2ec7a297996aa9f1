"""What every stage may use: values, errors, names, settings, the door for child processes."""
